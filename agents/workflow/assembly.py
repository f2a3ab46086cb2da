"""The workflow's aggregate, put together."""

from collections.abc import Callable
from typing import NamedTuple

from agents.device.health import Health
from agents.tools import Pool, Tools
from agents.workflow.agent import WorkflowAgent
from agents.workflow.asking import Asking
from agents.workflow.book import Book
from agents.workflow.check import Rules
from agents.workflow.dispatch import Dispatcher
from agents.workflow.state import WorkflowRow, WorkItem
from agents.workflow.telling import Telling
from models import wire
from streams.brokertopics import BrokerTopics
from streams.openwork import OpenWork
from streams.tables import DurableTable
from streams.topics import Topics


class Assembled(NamedTuple):
    """The agent, and its background work, to be closed with the worker."""

    agent: WorkflowAgent
    pool: Pool


def assemble(
    tools: Tools,
    topics: Topics,
    health: Health,
    workflows: DurableTable[WorkflowRow],
    work: OpenWork[WorkItem],
    *,
    fatal: Callable[[BaseException], None],
) -> Assembled:
    """Put the workflow's aggregate together. Does no I/O."""
    settings = tools.settings
    pool = Pool(settings.file_tasks, fatal)
    there = BrokerTopics(settings.kafka, tools.clock.monotonic)
    reco = topics[wire.RECO_JOBS]
    rules = Rules(
        records=settings.records,
        dialect=settings.device_dialect,
        reco_topic=reco,
        allowed=frozenset({reco, topics[wire.TASK_EVENTS], *settings.topic_allow}),
    )
    book = Book(
        tools=tools,
        workflows=workflows,
        work=work,
        dispatcher=Dispatcher(tools, there),
        telling=Telling(tools, work, pool, health),
        health=health,
    )
    return Assembled(WorkflowAgent(book, Asking(tools, rules, there, health)), pool)
