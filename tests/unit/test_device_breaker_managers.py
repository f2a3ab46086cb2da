"""A breaker for each manager: opened by an outage, closed by its probe; told once."""

import pytest

from agents.device.health import FORGOTTEN_S, Change, Health
from models.errors import TransientError
from tests.unit.test_device_bench import Bench
from tests.unit.test_device_health import FakeManager
from tests.unit.test_streams_fakes import HandClock


class Line:
    """Asks a manager that a test lets fail, and counts the calls that were made."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.health = Health(self.clock.monotonic, 0.5, 5.0)
        self.manager = FakeManager()
        self.calls = 0
        self.down = True

    async def ask(self, subject: str = "r-1") -> str:
        async def call() -> str:
            self.calls += 1
            if self.down:
                raise TransientError("refused", sent=False)
            return "answer"

        return await self.health.ask(self.manager, subject, call())

    async def fails(self, subject: str = "r-1") -> str:
        with pytest.raises(TransientError) as caught:
            await self.ask(subject)
        return str(caught.value)

    async def goes_away(self) -> None:
        self.manager.well = False
        for _ in range(3):
            await self.fails()


@pytest.fixture
def line() -> Line:
    return Line()


async def test_it_opens_after_three_failures_and_asks_no_more(line: Line) -> None:
    await line.goes_away()
    assert line.calls == 3
    assert await line.fails("r-2") == "the exam manager is away"
    assert line.calls == 3, "nobody waits for a manager that is known to be away"
    assert line.health.away == {"exam manager": 0.0}


async def test_one_that_fails_for_one_job_alone_is_not_away(line: Line) -> None:
    for _ in range(6):
        await line.fails()
    assert line.calls == 6
    assert line.health.away == {}


async def test_several_jobs_open_it_whatever_the_probe_says(line: Line) -> None:
    for subject in ("r-1", "r-2", "r-3"):
        await line.fails(subject)
    assert "exam manager" in line.health.away


async def test_a_good_answer_in_between_keeps_it_closed(line: Line) -> None:
    line.manager.well = False
    for _ in range(4):
        line.down = True
        await line.fails("r-1")
        await line.fails("r-2")
        line.down = False
        await line.ask("r-3")
    assert line.health.away == {}


async def test_its_probe_closes_it_and_the_first_answer_ends_the_outage(line: Line) -> None:
    await line.goes_away()
    line.clock.move(0.6)
    assert not await line.health.look(), "still away"
    line.clock.move(1.1)
    line.manager.well, line.down = True, False
    assert await line.health.look(), "those that wait are woken"
    assert line.health.away, "not over before somebody got an answer"
    assert await line.ask() == "answer"
    assert line.health.away == {}


async def test_it_is_probed_at_a_growing_pace(line: Line) -> None:
    await line.goes_away()
    before = line.manager.probes
    for _ in range(600):
        line.clock.move(0.1)
        await line.health.look()
    assert 12 <= line.manager.probes - before <= 16, "every 5 s in the end"


async def test_an_outage_is_told_once_and_so_is_its_end(line: Line) -> None:
    await line.goes_away()
    assert line.health.changes(1.0) == [], "it may be over in a moment"
    line.clock.move(1.5)
    assert line.health.changes(1.0) == [
        Change("exam manager", away=True, number=1, lasted_s=1.5, why="refused")
    ]
    line.clock.move(100)
    assert line.health.changes(1.0) == []
    line.manager.well, line.down = True, False
    await line.health.look()
    await line.ask()
    assert line.health.changes(1.0) == [
        Change("exam manager", away=False, number=1, lasted_s=101.5)
    ]
    assert line.health.changes(1.0) == []


async def test_one_that_flaps_is_one_outage(line: Line) -> None:
    await line.goes_away()
    line.clock.move(2)
    line.health.changes(1.0)
    for _ in range(5):
        line.manager.well = True
        line.clock.move(6)
        await line.health.look()
        for subject in ("r-1", "r-2", "r-3"):
            await line.fails(subject)
    assert line.health.changes(1.0) == []


async def test_an_outage_of_which_nobody_asks_is_over_in_the_end(line: Line) -> None:
    await line.goes_away()
    line.clock.move(2)
    line.health.changes(1.0)
    line.manager.well = True
    await line.health.look()
    line.clock.move(FORGOTTEN_S + 1)
    await line.health.look()
    assert line.health.away == {}
    assert [change.away for change in line.health.changes(1.0)] == [False]


# At the device's aggregate.


async def test_jobs_wait_through_a_long_outage_and_old_ones_are_held_when_it_is_over() -> None:
    bench = Bench(start_max_age_s=60, scans_per_device=0)
    bench.managers.well = False
    for what in ("sequence", "device"):  # one and the same manager, in this bench
        bench.managers.errors[what] = [TransientError("refused", sent=False)] * 2
    await bench.agent.handle(bench.job("r-1", offset=1))
    await bench.agent.handle(bench.job("r-2", offset=2))
    for _ in range(12):
        bench.clock.move(10)
        await bench.wake_due()
    assert [bench.row(one).stage for one in ("r-1", "r-2")] == ["WAITING", "WAITING"]
    assert bench.managers.asked.count("sequence") == 2
    bench.managers.well = True
    assert await bench.agent.health.look()
    bench.agent.wake_parked()
    young = bench.job("r-3", offset=3)
    await bench.agent.handle(young)
    for _ in range(6):
        bench.clock.move(1)
        await bench.wake_due()
    stages = {one: bench.row(one).stage for one in ("r-1", "r-2", "r-3")}
    assert stages == {"r-1": "HELD", "r-2": "HELD", "r-3": "READY"}
    assert bench.managers.asked.count("create") == 1, "no record for one that is too old"


async def test_an_outage_counts_those_that_wait_for_the_manager_alone() -> None:
    bench = Bench(scans_per_device=1)
    for number in (1, 2, 3):
        await bench.agent.handle(bench.job(f"r-{number}", offset=number))
    assert bench.agent.waiting() == 0, "these wait for their device"
    bench.managers.errors["sequence"] = [TransientError("refused", sent=False)]
    for number in (4, 5):
        await bench.agent.handle(bench.job(f"r-{number}", device="e", offset=number))
    assert bench.agent.waiting() == 2
