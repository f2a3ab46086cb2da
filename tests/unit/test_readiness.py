"""Why a worker is not ready, and what is told of outages."""

from typing import Any, cast

import pytest

from agents.device.health import Change, Health
from agents.readiness import MIB, Readiness, announcement, sentence
from agents.tools import Tools
from models.errors import TransientError
from models.events import ScanEvent
from settings import Settings
from streams.guard import Guard
from streams.metrics import Metrics
from tests.unit.test_device_bench import die_with
from tests.unit.test_device_health import FakeManager
from tests.unit.test_streams_fakes import FakeProducer, HandClock, make_outbox


class Lake:
    free: int | TransientError = 10_000 * MIB

    async def free_bytes(self) -> int:
        if isinstance(self.free, TransientError):
            raise self.free
        return self.free


class Worker:
    """A worker's readiness with all that it looks at in a test's hand."""

    def __init__(self) -> None:
        self.clock, self.lake, self.producer = HandClock(), Lake(), FakeProducer()
        self.guard = Guard(10, self.clock.monotonic, die_with)
        self.metrics = Metrics()
        self.owned, self.draining, self.woken = True, False, 0
        self.health = Health(self.clock.monotonic)
        self.tools = Tools(
            settings=Settings(disk_free_mb=512),
            partitions=8,
            clock=self.clock,
            guard=self.guard,
            outbox=make_outbox(self.producer, self.clock),
            dead_letters=cast("Any", None),
            managers=cast("Any", None),
            lake=cast("Any", self.lake),
            files=cast("Any", None),
            metrics=self.metrics,
            draining=lambda: self.draining,
        )
        self.guard.beat()
        self.readiness = Readiness(
            self.tools,
            self.health,
            owned=lambda: self.owned,
            waiting=lambda: 7,
            wake=self.wake,
        )

    def wake(self) -> None:
        self.woken += 1

    def events(self) -> list[ScanEvent]:
        return [ScanEvent.from_bytes(one.value or b"") for one in self.producer.sent]


@pytest.fixture
def worker() -> Worker:
    return Worker()


async def test_a_worker_that_is_well_is_ready(worker: Worker) -> None:
    await worker.readiness.look()
    assert worker.readiness.why_not_ready() == ""
    assert worker.readiness.outages() == []


async def test_without_partitions_it_is_not(worker: Worker) -> None:
    worker.owned = False
    assert "partitions" in worker.readiness.why_not_ready()


async def test_one_that_stops_is_not(worker: Worker) -> None:
    worker.draining = True
    assert "stops" in worker.readiness.why_not_ready()


async def test_a_broker_that_is_silent_is_the_reason(worker: Worker) -> None:
    worker.clock.move(5)
    assert worker.readiness.why_not_ready() == "the broker has not answered for 5 s"


async def test_a_disk_that_is_nearly_full_is_the_reason_until_there_is_room(
    worker: Worker,
) -> None:
    worker.lake.free = 100 * MIB
    await worker.readiness.look()
    assert "100 MiB free" in worker.readiness.why_not_ready()
    assert worker.metrics.registry.get_sample_value("scanhub_disk_free_bytes") == 100 * MIB
    worker.lake.free = 600 * MIB
    worker.clock.move(3)
    worker.guard.beat()
    await worker.readiness.look()
    assert worker.readiness.why_not_ready(), "it is looked at every five seconds"
    worker.clock.move(3)
    worker.guard.beat()
    await worker.readiness.look()
    assert worker.readiness.why_not_ready() == ""


async def test_a_disk_that_is_lost_is_the_reason(worker: Worker) -> None:
    worker.lake.free = TransientError("the data lake can't be read")
    await worker.readiness.look()
    assert worker.readiness.why_not_ready() == "the data lake can't be read"


async def fail(worker: Worker, manager: FakeManager) -> None:
    async def call() -> str:
        raise TransientError("refused", sent=False)

    with pytest.raises(TransientError):
        await worker.health.ask(manager, "r-1", call())


async def test_an_outage_is_one_event_with_its_count_and_its_end_another(worker: Worker) -> None:
    manager = FakeManager()
    manager.well = False
    for _ in range(3):
        await fail(worker, manager)
    await worker.readiness.tell()
    assert worker.events() == []
    worker.clock.move(2)
    for _ in range(5):
        await worker.readiness.tell()
    (began,) = worker.events()
    assert (began.manager, began.state, began.count) == ("exam manager", "WAITING", 7)
    assert worker.readiness.outages() == [{"manager": "exam manager", "since_s": 2}]
    away = {"manager": "exam manager"}
    assert worker.metrics.registry.get_sample_value("scanhub_manager_away", away) == 1

    manager.well = True
    worker.clock.move(1)
    await worker.readiness.look()
    assert worker.woken == 1

    async def call() -> str:
        return "answer"

    await worker.health.ask(manager, "r-1", call())
    await worker.readiness.tell()
    ended = worker.events()[-1]
    assert (ended.manager, ended.state) == ("exam manager", "ACCEPTED")
    assert ended.event_id != began.event_id
    assert worker.metrics.registry.get_sample_value("scanhub_manager_away", away) == 0


def test_sentences_say_what_becomes_of_the_jobs() -> None:
    assert sentence(Change("exam manager", away=True, number=1, lasted_s=1.0)).endswith(
        "go on by themselves"
    )
    assert "after 30 s" in sentence(Change("exam manager", away=False, number=1, lasted_s=30.2))


def test_each_worker_and_each_outage_has_an_event_of_its_own() -> None:
    changes = [
        Change("m", away=away, number=number, lasted_s=1.0)
        for away in (True, False)
        for number in (1, 2)
    ]
    unique = {announcement(one, 0, who).unique for one in changes for who in ("w1", "w2")}
    assert len(unique) == 8
