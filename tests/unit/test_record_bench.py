"""A record's agent over in-memory twins; work in the background never runs, tests say how it ended."""

import json
from collections.abc import Awaitable, Sequence
from types import SimpleNamespace
from typing import Any, cast

from agents.record.agent import RecordAgent
from agents.record.book import Book
from agents.record.files import RecordFiles
from agents.record.state import FileIndex, FileKind, FileRow, ScanRow, WorkItem, WorkKind
from agents.tools import Pool, Tools, record_key
from models import wire
from models.base import Message
from models.events import EventKind, ScanEvent, ScanState
from models.scan import ScanCommand
from models.steps import DeviceStep, FoundFile, RecordStep, RecordStepKind, ScanIdentity
from settings import Settings
from streams.deadletters import DeadLetters
from streams.guard import Guard
from streams.inbound import Inbound
from streams.metrics import Metrics
from streams.openwork import OpenWork
from streams.topics import partition_of
from tests.unit.test_device_bench import Death, die_with
from tests.unit.test_streams_fakes import (
    FakeProducer,
    HandClock,
    MemoryTable,
    Sent,
    make_inbound,
    make_outbox,
)

RAW = "a" * 64
IMAGE = "b" * 64


class Idle(Pool):
    """Begins nothing; keeps what it was asked to begin."""

    def __init__(self) -> None:
        super().__init__(1, die_with_error)
        self.begun: list[str] = []

    def submit(self, key: str, work: Any) -> None:
        del work
        self.begun.append(key)


def die_with_error(error: BaseException) -> None:
    raise error


class Mortal(FakeProducer):
    """A producer at which the worker dies, when it sends to a topic that a test names."""

    dies_at: str | None = None

    async def send(self, topic: str, *rest: Any) -> Awaitable[Any]:
        if topic == self.dies_at:
            raise Death(topic)
        return await super().send(topic, *rest)


class RecordBench:
    """One record's agent with tables, outbox and clock that a test holds in its hand."""

    def __init__(self, record: int | str = 41, **settings: Any) -> None:
        self.record = record
        self.key = record_key(record)
        self.partition = partition_of(self.key.encode(), 8)
        self.clock = HandClock()
        self.producer = Mortal()
        # Without the device's queue, unless a test asks for it.
        self.settings = Settings(**{"scans_per_device": 0, **settings})
        self.read = True
        """Whether all inputs of the partition are read."""
        self.asked: list[tuple[int, int]] = []
        """For what it was asked whether they are."""
        self.behind: Sequence[Inbound] = ()
        """What waits behind a message that is handled."""
        self.scans = MemoryTable(ScanRow, self.clock)
        self.files = MemoryTable(FileRow, self.clock)
        self.index = MemoryTable(FileIndex, self.clock)
        self.items = MemoryTable(WorkItem, self.clock)
        self.restart()

    def restart(self) -> None:
        """Begin anew with what the tables hold, as after a crash."""
        self.producer.dies_at = None
        outbox = make_outbox(self.producer, self.clock)
        metrics = Metrics()
        tools = Tools(
            settings=self.settings,
            partitions=8,
            clock=self.clock,
            guard=Guard(10, self.clock.monotonic, die_with),
            outbox=outbox,
            dead_letters=DeadLetters(outbox, self.clock, metrics),
            managers=cast("Any", None),
            lake=cast("Any", SimpleNamespace()),
            files=Idle(),
            metrics=metrics,
            draining=lambda: False,
            caught_up=self._caught_up,
            behind=lambda _: self.behind,
        )
        self.work = OpenWork(self.items)
        files = RecordFiles(self.files, self.index)
        self.agent = RecordAgent(Book(tools=tools, scans=self.scans, files=files, work=self.work))
        self.agent.recovered()

    async def _caught_up(self, partition: int, since_ms: int) -> bool:
        self.asked.append((partition, since_ms))
        return self.read

    async def pass_time(self, seconds: float, step: float = 1) -> None:
        """Let time pass, and what becomes due in it be handled."""
        until = self.clock.now_ms + round(seconds * 1000)
        while self.clock.now_ms < until:
            self.clock.move(min(step, (until - self.clock.now_ms) / 1000))
            for due in list(self.work.due(self.clock.now_ms)):
                await self.agent.wake(due)
                await self.agent.handle(self.last_step())

    def last_step(self) -> Inbound:
        """Give the newest message to the record's aggregate, as it comes in."""
        sent = self.sent(wire.RECORD_STEPS)
        step = sent[-1].value or b""
        return make_inbound(
            step,
            topic=wire.RECORD_STEPS,
            key=self.key.encode(),
            partition=self.partition,
            offset=1000 + len(sent),
        )

    def device_steps(self) -> list[DeviceStep]:
        """Give what the device's aggregate was told."""
        return [DeviceStep.from_bytes(one.value or b"") for one in self.sent(wire.DEVICE_STEPS)]

    @property
    def identity(self) -> ScanIdentity:
        return ScanIdentity(record_id=self.record, device_id="d", request_id="r-1", job_id=7)

    def put(self, state: ScanState, **fields: Any) -> None:
        """Let the scan be in a state."""
        row = ScanRow(scan=self.identity, state=state, **fields)
        self.scans.put(self.partition, self.key, row)

    def row(self) -> ScanRow:
        row = self.scans.get(self.partition, self.key)
        assert row is not None
        return row

    # What comes in.

    def message(self, topic: str, body: dict[str, Any] | Message, offset: int) -> Inbound:
        value = body.to_bytes() if isinstance(body, Message) else json.dumps(body).encode()
        return make_inbound(
            value, topic=topic, key=self.key.encode(), partition=self.partition, offset=offset
        )

    def status(self, state: str | None = None, offset: int = 1) -> Inbound:
        body = {"record_id": self.record, "status_percent": 40, "state": state}
        return self.message(wire.SCAN_STATUS, body, offset)

    def command(self, kind: str, offset: int = 60, **fields: Any) -> Inbound:
        """Give a command that the device's aggregate passed on."""
        body = {"command_id": f"c-{offset}", "command": kind, "device_id": "d", "by": "Ada"}
        command = ScanCommand.model_validate({**body, "record_id": self.record, **fields})
        step = RecordStep(kind=RecordStepKind.COMMAND, record_id=self.record, command=command)
        return self.message(wire.RECORD_STEPS, step, offset)

    def told(self, state: ScanState, attempt: int = 1, offset: int = 1, **fields: Any) -> Inbound:
        """Give what the device's aggregate says of the scan."""
        return self.message(
            wire.RECORD_STEPS,
            RecordStep(
                kind=RecordStepKind.SCAN,
                record_id=self.record,
                scan=self.identity,
                state=state,
                attempt=attempt,
                **fields,
            ),
            offset,
        )

    def stored(self, name: str, sha256: str, offset: int = 1) -> Inbound:
        """Give the outcome of copying a file."""
        image = "1.2.3" if sha256 == IMAGE else None
        found = FoundFile(
            location=f"records/{self.key}/{sha256[:12]}",
            size=9,
            sha256=sha256,
            sop_instance_uid=image,
        )
        return self.message(
            wire.RECORD_STEPS,
            RecordStep(
                kind=RecordStepKind.STORED, record_id=self.record, name=name, files=(found,)
            ),
            offset,
        )

    async def upload(self) -> Inbound:
        """Announce raw data; gives the outcome of copying it."""
        body = {
            "record_id": self.record,
            "upload_id": "u-1",
            "location": "incoming/x.npy",
            "size": 9,
            "sha256": RAW,
        }
        await self.agent.handle(self.message(wire.RESULT_UPLOADS, body, 5))
        return self.stored(f"copy/{RAW}", RAW)

    def sent_to_reconstruction(self, job: str = "job-1") -> None:
        """Let raw data be registered, and its RecoJob be out."""
        raw = FileRow(
            kind=FileKind.RAW,
            number=0,
            location="records/x",
            size=9,
            sha256=RAW,
            media_type="x/y",
            reco_job_id=job,
        )
        self.files.put(self.partition, f"{self.key}\x00{RAW}", raw)
        for name in ("n/0", f"job/{job}"):
            self.index.put(self.partition, f"{self.key}\x00{name}", FileIndex(sha256=RAW))

    def result(self, *, success: bool, offset: int = 1) -> Inbound:
        file = {"location": f"records/{self.key}/x.dcm", "size": 9, "sha256": IMAGE}
        body = {
            "record_id": self.record,
            "reco_job_id": "job-1",
            "success": success,
            "files": [file] if success else [],
        }
        return self.message(wire.RECO_RESULTS, body, offset)

    async def reconstructed(self) -> Inbound:
        """Report an image; gives the outcome of copying it."""
        self.sent_to_reconstruction()
        await self.agent.handle(self.result(success=True))
        return self.stored("register/job-1", IMAGE)

    # What came of it.

    def events(self, *kinds: EventKind) -> list[ScanEvent]:
        """Give what was announced, repeats dropped by their id, as every consumer should."""
        unique: dict[str, ScanEvent] = {}
        for sent in self.sent(wire.SCAN_EVENTS):
            event = ScanEvent.from_bytes(sent.value or b"")
            unique.setdefault(event.event_id, event)
        return [one for one in unique.values() if not kinds or one.event in kinds]

    def sent(self, topic: str) -> list[Sent]:
        return self.producer.on(topic)

    def open(self, kind: WorkKind) -> list[WorkItem]:
        """Give the open work of a kind."""
        return [row for _, _, row in self.items.items() if row.kind is kind]
