"""What all commands share: exit codes, errors as sentences, and how a command is run.

Faust would run a command in a worker of its own, with a log, and print the text of what it raises,
which may hold input (promise 8). Ours run in a plain event loop, and an unforeseen exception shows
its name and place only.
"""

import asyncio
import io
import logging
import signal
import sys
import traceback
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NoReturn

import click
from aiokafka.errors import KafkaError
from faust.cli import AppCommand, option

from models.errors import ScanHubError
from settings import Settings
from streams.provision import changelog
from streams.topics import Topics, TopicSpec

DEFAULT_S: Final = 30.0
"""How long a command waits unless `--timeout` says otherwise."""
MOST_S: Final = 86_400.0


class Exit(IntEnum):
    """Exit codes (interface); some have two meanings, one for each command."""

    GOOD = 0
    ERROR = 1
    USAGE = 2
    ENDED = 3  # submit --wait: FAILED or CANCELLED
    MISSING = 3
    UNDECIDED = 4  # submit --wait: UNKNOWN or HELD, a person decides
    CORRUPT = 4
    TIMEOUT = 5
    INTERRUPTED = 130
    TERMINATED = 143


class CommandError(ScanHubError):
    """Ends a command with a sentence and an exit code."""

    def __init__(self, sentence: str, code: Exit = Exit.ERROR) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What commands know of the app."""

    settings: Settings
    topics: Topics
    tables: tuple[str, ...] = ()

    def specs(self) -> list[TopicSpec]:
        """Give every topic as it should be, changelogs of the tables included."""
        app_id, partitions = self.settings.app_id, self.topics.partitions
        return [
            *self.topics.specs(),
            *(changelog(app_id, table, partitions) for table in self.tables),
        ]


class PlainCommand(AppCommand):
    """A command that runs in a plain event loop; its `run` gives an exit code."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run it and leave."""
        sys.exit(execute(self.run(*self.args, *args, **{**self.kwargs, **kwargs})))


def timeout_option(help_text: str) -> Any:
    """Make the `--timeout` of a command."""
    return option(
        "--timeout",
        "limit_s",
        metavar="SECONDS",
        type=_seconds,
        default=DEFAULT_S,
        show_default=True,
        help=help_text,
    )


def _seconds(text: str) -> float:
    """Read a time-out; what is refused becomes a usage error (exit code 2)."""
    value = float(text)
    if not 0 < value <= MOST_S:
        raise click.BadParameter(f"more than 0 and at most {MOST_S:g} seconds")
    return value


def execute(command: Coroutine[Any, Any, Exit]) -> int:
    """Run a command; whatever happens becomes a sentence on stderr and an exit code."""
    quiet()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that has no tick must not end the command.
            stream.reconfigure(errors="namereplace")
    try:
        return asyncio.run(_terminable(command))
    except BrokenPipeError:
        sys.stdout = io.StringIO()  # the reader is gone: nothing more is written at the end
        return Exit.ERROR
    except (Exception, asyncio.CancelledError, KeyboardInterrupt) as error:  # noqa: BLE001 - the edge
        sentence, code = judge(error)
        print(f"error: {sentence}", file=sys.stderr)
        return code


def quiet() -> None:
    """Silence libraries: where they write a line for each try, a command says one sentence."""
    for name in ("aiokafka", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def judge(error: BaseException) -> tuple[str, Exit]:
    """Give the sentence and the exit code for what ended a command; never an unforeseen text."""
    name = type(error).__name__
    if isinstance(error, click.ClickException):
        return error.format_message(), Exit.USAGE
    if isinstance(error, ScanHubError):
        return str(error), error.code if isinstance(error, CommandError) else Exit.ERROR
    if isinstance(error, KafkaError):
        return f"the broker refused or was lost: {name}", Exit.ERROR
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", Exit.INTERRUPTED
    if isinstance(error, asyncio.CancelledError):
        return "terminated", Exit.TERMINATED
    return f"internal error {name}{_place(error)}", Exit.ERROR


async def _terminable(command: Coroutine[Any, Any, Exit]) -> Exit:
    """Let SIGTERM unwind the command, so that it takes its half-written file along."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await command


def _place(error: BaseException) -> str:
    """Say where an exception was raised, without its text: that may hold input."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
