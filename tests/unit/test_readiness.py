"""Why a worker is not ready, and what is told of outages."""

import asyncio
from typing import Any, cast

import pytest

from agents.device.health import Change, Health
from agents.readiness import MIB, Readiness, announcement, sentence
from agents.tools import Pool, Tools
from models.errors import PoisonError, ScanHubError, TransientError
from models.events import ScanEvent
from models.wire import Cause
from settings import Settings
from streams.guard import Guard
from streams.metrics import Metrics
from tests.unit.test_device_bench import die_with
from tests.unit.test_device_health import FakeManager
from tests.unit.test_streams_fakes import FakeProducer, HandClock, make_outbox


class Lake:
    free: int | ScanHubError = 10_000 * MIB

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()

    async def free_bytes(self) -> int:
        await self.answers.wait()
        if isinstance(self.free, ScanHubError):
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
        self.fatal: list[BaseException] = []
        self.looks = Pool(2, self.fatal.append)
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
            looks=self.looks,
        )
        self.readiness.broker_found = True

    async def look(self) -> None:
        """Look, and let what was looked at answer."""
        await self.readiness.look()
        for _ in range(20):
            await asyncio.sleep(0)
        assert (len(self.looks), self.fatal) == (0, [])

    def wake(self) -> None:
        self.woken += 1

    def events(self) -> list[ScanEvent]:
        return [ScanEvent.from_bytes(one.value or b"") for one in self.producer.sent]


@pytest.fixture
def worker() -> Worker:
    return Worker()


async def test_a_worker_that_is_well_is_ready(worker: Worker) -> None:
    await worker.look()
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
    await worker.look()
    assert "100 MiB free" in worker.readiness.why_not_ready()
    assert worker.metrics.registry.get_sample_value("scanhub_disk_free_bytes") == 100 * MIB
    worker.lake.free = 600 * MIB
    worker.clock.move(3)
    worker.guard.beat()
    await worker.look()
    assert worker.readiness.why_not_ready(), "it is looked at every five seconds"
    worker.clock.move(3)
    worker.guard.beat()
    await worker.look()
    assert worker.readiness.why_not_ready() == ""


@pytest.mark.parametrize(
    "error",
    [TransientError("it can't be read"), PoisonError("it is no folder", Cause.PATH_REFUSED)],
)
async def test_a_disk_that_is_lost_is_the_reason(worker: Worker, error: ScanHubError) -> None:
    worker.lake.free = error
    await worker.look()
    assert worker.readiness.why_not_ready() == str(error)


async def test_before_a_broker_answers_that_is_the_reason(worker: Worker) -> None:
    worker.readiness.broker_found = worker.owned = False
    assert "no broker answers yet" in worker.readiness.why_not_ready()


async def test_a_disk_that_hangs_is_the_reason_and_stops_nothing_else(worker: Worker) -> None:
    manager = FakeManager()
    manager.well = False
    for _ in range(3):
        await fail(worker, manager)
    worker.lake.answers.clear()
    await worker.readiness.look()
    manager.well = True
    for _ in range(6):
        worker.clock.move(2)
        worker.guard.beat()
        await worker.readiness.look()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert worker.readiness.why_not_ready() == "the data lake has not answered for 12 s"
    assert worker.woken == 1, "a manager's return is noticed all the same"
    worker.lake.answers.set()
    await worker.look()
    assert worker.readiness.why_not_ready() == ""


async def test_a_manager_that_hangs_holds_no_timer(worker: Worker) -> None:
    """Faust logs each run of a timer that takes longer than its interval: a flood."""
    manager, let = FakeManager(), asyncio.Event()
    manager.well = False
    for _ in range(3):
        await fail(worker, manager)

    async def hangs() -> bool:
        await let.wait()
        return True

    manager.probe = hangs  # type: ignore[method-assign]
    worker.clock.move(1)
    async with asyncio.timeout(5):
        for _ in range(3):
            await worker.readiness.look()
    let.set()
    await worker.look()
    assert worker.woken == 1


async def test_without_partitions_nobody_is_woken(worker: Worker) -> None:
    """A row written by a worker that owns nothing would come back from the dead."""
    manager = FakeManager()
    manager.well = False
    for _ in range(3):
        await fail(worker, manager)
    manager.well, worker.owned = True, False
    worker.clock.move(1)
    await worker.look()
    assert worker.woken == 0
    assert not worker.health.any_open


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
    await worker.look()
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
    began = Change("exam manager", away=True, number=1, lasted_s=1.0, why="it refuses the token")
    assert sentence(began).endswith("go on by themselves")
    assert "(it refuses the token)" in sentence(began)
    assert "after 30 s" in sentence(Change("exam manager", away=False, number=1, lasted_s=30.2))


def test_each_worker_and_each_outage_has_an_event_of_its_own() -> None:
    changes = [
        Change("m", away=away, number=number, lasted_s=1.0)
        for away in (True, False)
        for number in (1, 2)
    ]
    unique = {announcement(one, 0, who).unique for one in changes for who in ("w1", "w2")}
    assert len(unique) == 8
