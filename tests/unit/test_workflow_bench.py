"""A workflow's agent over in-memory twins, and the way of the example workflow through it."""

import json
from types import SimpleNamespace
from typing import Any, cast

from agents.device.health import Health
from agents.tools import Tools
from agents.workflow.agent import WorkflowAgent
from agents.workflow.asking import Asking
from agents.workflow.book import Book
from agents.workflow.check import Rules
from agents.workflow.dispatch import Dispatcher
from agents.workflow.state import WorkflowRow, WorkItem
from agents.workflow.telling import Telling
from models import wire
from models.base import Message, canonical
from models.events import ScanState
from models.scan import ScanJob
from models.steps import WorkflowStep, WorkflowStepKind
from models.workflow import WorkflowResponse
from settings import DeviceDialect, Settings
from streams.deadletters import DeadLetters
from streams.guard import Guard
from streams.inbound import Inbound
from streams.metrics import Metrics
from streams.openwork import OpenWork
from streams.topics import partition_of
from tests.contracts.openapi import example
from tests.unit.test_device_bench import Death, die_with
from tests.unit.test_streams_fakes import (
    HandClock,
    Sent,
    make_inbound,
    make_outbox,
)
from tests.unit.test_workflow_fakes import (
    DENOISE,
    RECO_TOPIC,
    FakeExams,
    Later,
    LossyTable,
    MortalProducer,
    Outgoing,
)

RECORD = "5f9f2a00-0000-4000-8000-000000000001"
RAW = "records/r/0123456789ab-raw.npy"
IMAGE = "records/r/0123456789ab-image.dcm"


class WorkflowBench(Outgoing):
    """One workflow's agent with tables, outbox, clock and managers that a test holds in its hand."""

    def __init__(self, given: dict[str, Any] | None = None, **settings: Any) -> None:
        self.given = given or example("workflow-out")
        self.id = str(self.given["id"])
        self.partition = partition_of(self.id.encode(), 8)
        self.clock = HandClock()
        self.producer = MortalProducer()
        self.exams = FakeExams()
        self.exams.put(self.given)
        allow = {"topic_allow": DENOISE, "records": "uuid"}
        self.settings = Settings.model_validate({**allow, **settings})
        self.rows = LossyTable(WorkflowRow, self.clock)
        self.items = LossyTable(WorkItem, self.clock)
        self.offset = 0
        self.crashes = 0
        self.taken = 0
        self.start_worker()

    def start_worker(self) -> None:
        outbox, metrics = make_outbox(self.producer, self.clock), Metrics()
        fake = cast("Any", self.exams)
        tools = Tools(
            settings=self.settings,
            partitions=8,
            clock=self.clock,
            guard=Guard(10, self.clock.monotonic, die_with),
            outbox=outbox,
            dead_letters=DeadLetters(outbox, self.clock, metrics),
            managers=cast("Any", SimpleNamespace(devices=fake, sequences=fake, exams=fake)),
            lake=fake,
            files=Later(),
            metrics=metrics,
            draining=lambda: False,
        )
        rules = Rules(
            records=self.settings.records,
            dialect=DeviceDialect.TASK,
            reco_topic=RECO_TOPIC,
            allowed=frozenset({RECO_TOPIC, *self.settings.topic_allow}),
        )
        self.pool = Later()
        self.health = Health(self.clock.monotonic, 0.5, 5)
        self.work = OpenWork(self.items)
        self.telling = Telling(tools, self.work, self.pool, self.health)
        book = Book(
            tools=tools,
            workflows=self.rows,
            work=self.work,
            dispatcher=Dispatcher(tools, fake),
            telling=self.telling,
            health=self.health,
        )
        self.agent = WorkflowAgent(book, Asking(tools, rules, fake, self.health))
        self.agent.recovered()

    def crash(self) -> None:
        """Begin anew with what the broker has."""
        self.crashes += 1
        self.rows.crash()
        self.items.crash()
        self.start_worker()

    async def take(self, inbound: Inbound) -> None:
        """Handle a message as a worker does that may die: then it comes again."""
        while True:
            try:
                await self.agent.handle(inbound)
            except Death:
                self.crash()
            else:
                return

    async def settle(self) -> None:
        """Let everything happen that follows by itself: background work, and steps read back."""
        while True:
            steps = self.producer.on(wire.WORKFLOW_STEPS)
            if self.taken < len(steps):
                sent = steps[self.taken]
                self.taken += 1
                await self.take(self._read_back(sent))
            elif self.pool.waiting:
                key = next(iter(self.pool.waiting))
                work = self.pool.waiting.pop(key)
                try:
                    await work()
                except Death:
                    self.crash()
            else:
                return

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and what becomes due in it be handled."""
        until = self.clock.now_ms + round(seconds * 1000)
        while self.clock.now_ms < until:
            self.clock.move(0.5)
            await self.health.look()
            for due in list(self.work.due(self.clock.now_ms)):
                try:
                    await self.agent.wake(due)
                except Death:
                    self.crash()
            await self.settle()

    def _read_back(self, sent: Sent) -> Inbound:
        self.offset += 1
        return make_inbound(
            sent.value,
            topic=sent.topic,
            key=sent.key,
            partition=self.partition if sent.partition is None else sent.partition,
            offset=self.offset,
            timestamp_ms=self.clock.now_ms,
            headers=tuple(sent.headers),
        )

    def message(self, topic: str, body: dict[str, Any] | Message, **fields: Any) -> Inbound:
        """Make a message in its right place."""
        self.offset += 1
        value = body.to_bytes() if isinstance(body, Message) else json.dumps(body).encode()
        made: dict[str, Any] = {
            "topic": topic,
            "key": self.id.encode(),
            "partition": self.partition,
            "offset": self.offset,
            "timestamp_ms": self.clock.now_ms,
        }
        return make_inbound(value, **{**made, **fields})

    async def ask(self, kind: str) -> WorkflowResponse:
        """Ask something of the workflow; gives the last answer."""
        body = {"workflow_id": self.id, "type": kind}
        await self.take(self.message(wire.WORKFLOW_REQUESTS, body))
        await self.settle()
        return self.answers()[-1]

    async def start(self) -> WorkflowResponse:
        return await self.ask("start_workflow")

    async def scan(self, state: ScanState, number: int = -1, **fields: Any) -> None:
        """Let a scan of the workflow come to a state; by default the last one that was sent."""
        sent = self.once(wire.SCAN_JOBS)[number]
        job = ScanJob.from_bytes(sent.value or b"")
        places = {ScanState.ACQUIRED: RAW, ScanState.COMPLETED: IMAGE}
        told = {"record_id": RECORD, "location": places.get(state), **fields}
        step = WorkflowStep(
            kind=WorkflowStepKind.SCAN,
            workflow_id=job.workflow_id or self.id,
            task_id=job.task_id,
            request_id=(sent.header["request-id"] or b"").decode(),
            state=state,
            **told,
        )
        await self.take(self.message(wire.WORKFLOW_STEPS, step))
        await self.settle()

    async def reconstructed(self, state: ScanState = ScanState.COMPLETED) -> None:
        """Let the record that was asked last say how its reconstruction went."""
        asked = self.asked_records()[-1]
        await self.scan(state, attempt=asked.attempt, record_id=asked.record_id)

    async def complete(self, task: str, **fields: Any) -> None:
        """Let a service report on a task."""
        body = {"task_id": task, "workflow_id": self.id, **fields}
        await self.take(self.message(wire.TASK_COMPLETIONS, body))
        await self.settle()

    # What stands, and what went out.

    def row(self) -> WorkflowRow:
        row = self.rows.get(self.partition, canonical(self.id))
        assert isinstance(row, WorkflowRow)
        return row

    def states(self) -> list[str]:
        return [task.state for task in self.row().tasks]

    def task_id(self, number: int) -> str:
        return str(sorted(self.given["tasks"], key=lambda t: t["datetime_created"])[number]["id"])


async def run_through(bench: WorkflowBench) -> None:
    """Take the example workflow from its start to its end."""
    await bench.start()
    await bench.scan(ScanState.ACQUIRED)
    await bench.reconstructed()
    await bench.complete(bench.task_id(2), artifacts={"input": "records/r/denoised.dcm"})


async def test_the_bench_takes_the_example_to_its_end() -> None:
    bench = WorkflowBench()
    await run_through(bench)
    assert bench.states() == ["COMPLETED"] * 3
