"""What a person types: `faust -A faust_app …`.

Each command is a module: its flow in an async function that gives an exit code, what it decides in
plain functions. Commands talk to the broker directly (commands/kafka.py), never through agents.
"""

from typing import Any

from commands.base import Context
from commands.confirm import add_confirm
from commands.dead_letters import add_dead_letters
from commands.doctor import add_doctor
from commands.people import add_people
from commands.queue import add_queue
from commands.result import add_result
from commands.status import add_status
from commands.submit import add_submit
from commands.topics import add_topics
from commands.watch import add_watch
from commands.workflow import add_workflow
from settings import Settings
from streams.topics import Topics


def add_commands(
    app: Any, settings: Settings, topics: Topics, *, tables: tuple[str, ...] = ()
) -> None:
    """Add our commands to the `faust` command line; `tables` are those that have a changelog."""
    context = Context(settings=settings, topics=topics, tables=tables)
    for add in (
        add_topics,
        add_submit,
        add_status,
        add_result,
        add_confirm,
        add_people,
        add_queue,
        add_watch,
        add_workflow,
        add_doctor,
        add_dead_letters,
    ):
        add(app, context)
