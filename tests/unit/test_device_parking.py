"""Parking: jobs of a device wait in the order in which they came; only the first is tried."""

import pytest

from agents.device.parking import Parking
from agents.device.state import RequestRow
from models import wire
from models.steps import DeviceStep, DeviceStepKind
from models.work import ParkedRow
from tests.unit.test_device_bench import Bench
from tests.unit.test_device_decide import row as make_row


def row(order: int) -> RequestRow:
    return make_row(order=f"{order:03d}", request_id=f"r-{order}")


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def parking(bench: Bench) -> Parking:
    return bench.agent._parking


def nexts(bench: Bench) -> int:
    steps = [
        DeviceStep.from_bytes(one.value or b"") for one in bench.producer.on(wire.DEVICE_STEPS)
    ]
    return sum(step.kind is DeviceStepKind.NEXT for step in steps)


async def test_only_what_came_before_makes_a_job_wait(parking: Parking) -> None:
    await parking.park(0, row(5), "away", tried=True)
    assert parking.why_wait(0, row(6))
    assert parking.why_wait(0, row(5)) is None, "the first does not wait for itself"
    assert parking.why_wait(0, row(4)) is None
    other = row(6)
    elsewhere = other.model_copy(update={"job": other.job.model_copy(update={"device_id": "e"})})
    assert parking.why_wait(0, elsewhere) is None


async def test_the_first_is_tried_again_and_those_behind_it_wait(
    bench: Bench, parking: Parking
) -> None:
    first = await parking.park(0, row(1), "away", tried=True)
    behind = await parking.park(0, row(2), "jobs before it wait", tried=False)
    assert first.due_ms == bench.clock.now_ms + 500
    assert behind.due_ms == row(2).born_ms + 900_001, "it becomes too old there, and is HELD then"


async def test_each_try_waits_longer_and_has_a_version_of_its_own(
    bench: Bench, parking: Parking
) -> None:
    parked = [await parking.park(0, row(1), "away", tried=True) for _ in range(6)]
    waits = [(one.due_ms or 0) - bench.clock.now_ms for one in parked]
    assert waits == [500, 1000, 2000, 4000, 5000, 5000]
    assert [one.version for one in parked] == list(range(6))
    assert [one.tries for one in parked] == list(range(6))


async def test_faults_in_a_row_are_counted_and_an_outage_clears_them(parking: Parking) -> None:
    faults = [True, True, False, True, True, True]
    counted = [
        (await parking.park(0, row(1), "500", tried=True, fault=fault)).faults for fault in faults
    ]
    assert counted == [1, 2, 0, 1, 2, 3]


async def test_when_the_first_leaves_the_next_is_woken_once(bench: Bench, parking: Parking) -> None:
    for order in (1, 2, 3):
        await parking.park(0, row(order), "away", tried=True)
    await parking.leave(0, row(1))
    assert nexts(bench) == 1
    await parking.leave(0, row(1))
    assert nexts(bench) == 1
    await parking.leave(0, row(2))
    await parking.leave(0, row(3))
    assert nexts(bench) == 2
    assert not bench.parked.rows


async def test_a_held_job_is_seen_and_holds_nobody_up(bench: Bench, parking: Parking) -> None:
    await parking.park(0, row(1), "away", tried=True)
    await parking.park(0, row(2), "jobs before it wait", tried=False)
    await parking.hold(0, row(1), "older than START_MAX_AGE", None)
    await parking.leave(0, row(1))
    assert parking.why_wait(0, row(2)) is None
    assert nexts(bench) == 1
    held = bench.work.get(0, "d", "h001")
    assert held is not None
    assert (held.due_ms, held.request_id) == (None, "r-1")


async def test_a_row_that_is_kept_while_its_start_is_on_its_way_wakes_in_the_end(
    bench: Bench, parking: Parking
) -> None:
    await parking.park(0, row(1), "away", tried=True)
    await parking.keep(0, row(1))
    await parking.took_device(0, row(1))
    bench.clock.move(29)
    stale = [due for due in bench.work.due(bench.clock.now_ms) if due.version == 1]
    assert stale == []
    bench.clock.move(2)
    assert [due.version for due in bench.work.due(bench.clock.now_ms)] == [1]
    await parking.keep(0, row(9))
    assert bench.work.names(0, "d") == ["p001"], "one that was not parked needs no row"


async def test_after_a_restart_somebody_is_woken_for_each_device(bench: Bench) -> None:
    parking = bench.agent._parking
    await parking.park(0, row(1), "away", tried=True)
    await parking.park(0, row(2), "jobs before it wait", tried=False)
    await parking.remove(0, "d", "q001")  # the message that was to wake the next got lost
    bench.restart()
    assert [due.name for due in bench.work.due(bench.clock.now_ms)] == ["q002"]


async def test_rows_are_durable_when_parking_returns(bench: Bench, parking: Parking) -> None:
    await parking.park(0, row(1), "away", tried=True)
    kept = [ParkedRow.from_bytes(raw) for raw in bench.parked.rows.values()]
    assert [one.request_id for one in kept] == ["r-1"]
