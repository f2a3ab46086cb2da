"""A device's agent over in-memory twins, and the way of a scan job through it."""

import json
from collections.abc import Awaitable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from agents.device.agent import DeviceAgent
from agents.device.state import RequestRow, request_key
from agents.record import decide as record_decide
from agents.record.state import ScanRow
from agents.tools import Announcement, Pool, Tools
from managers import Sequence
from models import wire
from models.events import ScanEvent, ScanState
from models.managers import Record
from models.steps import RecordStep
from models.work import ParkedRow
from settings import Settings
from streams.deadletters import DeadLetters
from streams.guard import Guard
from streams.inbound import Inbound
from streams.metrics import Metrics
from streams.openwork import OpenWork
from streams.topics import partition_of
from tests.unit.test_device_decide import BODY
from tests.unit.test_streams_fakes import (
    FakeProducer,
    HandClock,
    MemoryTable,
    Sent,
    make_inbound,
    make_outbox,
)


class Death(BaseException):
    """The worker's end; no `except Exception` may catch it."""


def die_with(sentence: str) -> None:
    raise Death(sentence)


@dataclass
class FakeManagers:
    """All managers and the scanner: answer well, or raise what a test sets; keep what was asked."""

    name: str = "manager"
    asked: list[str] = field(default_factory=list)
    errors: dict[str, list[BaseException]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    well: bool = True
    hook: Any = None
    sequence: bytes = b'{"file":"# Pulseq"}'

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if self.hook is not None:
            self.hook(what)
        if self.errors.get(what):
            raise self.errors[what].pop(0)

    async def probe(self) -> bool:
        return self.well

    def kept(self, _: str) -> Any:
        return None

    async def retrieve_sequence(self, sequence_id: str) -> Any:
        self._note("sequence")
        return Sequence(id=sequence_id, json=self.sequence)

    async def device_location_request(self, _: str) -> Any:
        self._note("device")
        return SimpleNamespace()

    def forget(self, _: str) -> None:
        self._note("forget")

    async def list_records(self, _: int | str) -> list[Record]:
        self._note("list")
        return self.records

    async def create_record(self, job_id: int | str, comment: str) -> Record:
        record = Record(id=41 + len(self.records), comment=comment, datetime_created="2024-01-01")
        self.records.append(record)
        assert job_id is not None
        self._note("create")
        return record

    async def take_connection(self, _: Any) -> None:
        if self.errors.get("connect"):
            self._note("connect")

    async def post_device_task(self, _: Any, body: bytes, *, headers: dict[str, str]) -> None:
        json.loads(body)
        self.headers = headers
        self._note("START")


class Settled(DeviceAgent):
    """Settles each message to its end."""

    async def handle(self, inbound: Inbound) -> None:
        rest = await self.begin(inbound)
        if rest is not None:
            await rest

    async def begin(self, inbound: Inbound) -> Awaitable[Any] | None:
        """As the worker: so far that the next message of the device may begin."""
        return await super().handle(inbound)


class Bench:
    """One device's agent with tables, outbox, clock and managers that a test holds in its hand."""

    def __init__(self, **settings: Any) -> None:
        self.clock = HandClock()
        self.producer = FakeProducer()
        self.managers = FakeManagers()
        self.requests = MemoryTable(RequestRow, self.clock)
        self.parked = MemoryTable(ParkedRow, self.clock)
        # Without the queue, unless a test asks for it: those of the queue do.
        self.settings = Settings(**{"scans_per_device": 0, **settings})
        self.fatal: list[BaseException] = []
        self.leaving = False
        self.offsets = -1
        self.restart()

    def restart(self) -> None:
        """Begin anew with what the tables hold, as after a crash."""
        outbox = make_outbox(self.producer, self.clock)
        metrics = Metrics()
        self.guard = Guard(10, self.clock.monotonic, die_with)
        fake, end = self.managers, self.offsets + 1
        tools = Tools(
            settings=self.settings,
            partitions=8,
            clock=self.clock,
            guard=self.guard,
            outbox=outbox,
            dead_letters=DeadLetters(outbox, self.clock, metrics),
            managers=cast(
                "Any",
                SimpleNamespace(devices=fake, sequences=fake, exams=fake, scanner=fake),
            ),
            lake=cast("Any", None),
            files=Pool(1, self.fatal.append),
            metrics=metrics,
            draining=lambda: self.leaving,
            fresh=lambda inbound: inbound.offset >= end,
        )
        self.work = OpenWork(self.parked)
        self.agent = Settled(tools, self.requests, self.work)
        self.agent.recovered()

    def job(
        self, request: str = "r-1", *, device: str = "d", offset: int = 7, **fields: Any
    ) -> Inbound:
        """Make a scan job as it comes in, in its right place."""
        self.offsets = max(self.offsets, offset)
        return make_inbound(
            json.dumps({**BODY, "device_id": device, **fields}).encode(),
            key=device.encode(),
            partition=partition_of(device.encode(), 8),
            offset=offset,
            timestamp_ms=self.clock.now_ms,
            headers=((wire.REQUEST_ID, request.encode()),),
        )

    def task(self, number: int = -1) -> Inbound:
        """Give a DeviceTask that was sent as it is read back."""
        sent = self.producer.on(wire.DEVICE_TASKS)[number]
        return self.read_back(sent)

    def read_back(self, sent: Sent, offset: int = 900) -> Inbound:
        return make_inbound(
            sent.value,
            topic=sent.topic,
            key=sent.key,
            partition=sent.partition or 0,
            offset=offset,
            timestamp_ms=self.clock.now_ms,
            headers=tuple(sent.headers),
        )

    async def wake_due(self) -> None:
        """Do what the worker's timer does, and handle the steps that it sends."""
        done = len(self.producer.on(wire.DEVICE_STEPS))
        for due in self.work.due(self.clock.broker_ms()):
            await self.agent.wake(due)
        while len(steps := self.producer.on(wire.DEVICE_STEPS)) > done:
            await self.agent.handle(self.read_back(steps[done]))
            done += 1

    def row(self, request: str = "r-1", device: str = "d") -> RequestRow:
        row = self.requests.get(partition_of(device.encode(), 8), request_key(device, request))
        assert row is not None
        return row

    def events(self) -> list[ScanEvent]:
        """Give what the device's aggregate announced."""
        sent = self.producer.on(wire.SCAN_EVENTS)
        return [ScanEvent.from_bytes(one.value or b"") for one in sent]

    def heard(self, *, gateway: bool = True) -> tuple[ScanRow, list[Announcement]]:
        """Give the record's row and announcements after all that its aggregate was told."""
        row: ScanRow | None = None
        announced: list[Announcement] = []
        for sent in self.producer.on(wire.RECORD_STEPS):
            step = RecordStep.from_bytes(sent.value or b"")
            row = row or record_decide.first_seen(step, 0)
            row, more = record_decide.told_by_device(row, step, 0, gateway=gateway)
            announced += more
        assert row is not None
        return row, announced


async def started(bench: Bench) -> None:
    """Take a job to its START and the answer to it."""
    await bench.agent.handle(bench.job())
    await bench.agent.handle(bench.task())


async def test_a_job_becomes_a_record_a_task_and_one_start() -> None:
    bench = Bench()
    await started(bench)
    assert bench.managers.asked == ["sequence", "device", "create", "device", "START"]
    assert bench.row().stage is ScanState.STARTED
    assert (bench.row().record_id, bench.row().starts) == (41, 1)
    row, announced = bench.heard()
    assert row.state is ScanState.STARTED
    assert [one.fields["state"] for one in announced] == ["READY", "STARTING", "STARTED"]
    assert bench.managers.headers["fencing-token"] == "900"
    assert bench.managers.headers["request-id"] == "r-1"
    assert not bench.parked.rows
