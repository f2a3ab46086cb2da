"""From a DeviceTask to the scanner: at most one START, whatever dies in between (promise 2)."""

import asyncio

import pytest

from models import wire
from models.errors import TransientError
from models.events import ScanState
from tests.unit.test_device_bench import Bench, Death, started


async def test_a_task_that_is_read_twice_starts_once() -> None:
    bench = Bench()
    await started(bench)
    await bench.agent.handle(bench.task())
    bench.restart()
    await bench.agent.handle(bench.task())
    assert bench.managers.asked.count("START") == 1


async def test_nothing_is_posted_before_the_intent_is_durable() -> None:
    bench = Bench()
    await bench.agent.handle(bench.job())
    bench.requests.gate.clear()
    posting = asyncio.ensure_future(bench.agent.handle(bench.task()))
    for _ in range(50):
        await asyncio.sleep(0)
    assert bench.row().stage is ScanState.STARTING
    assert "START" not in bench.managers.asked
    bench.requests.gate.set()
    await posting
    assert bench.managers.asked.count("START") == 1


async def test_an_intent_without_an_outcome_is_unknown_and_never_sent_again() -> None:
    bench = Bench()
    await bench.agent.handle(bench.job())

    def die(what: str) -> None:
        if what == "START":
            raise Death

    bench.managers.hook = die
    with pytest.raises(Death):
        await bench.agent.handle(bench.task())
    bench.managers.hook = None
    bench.restart()
    await bench.agent.handle(bench.task())
    assert bench.row().stage is ScanState.UNKNOWN
    assert bench.managers.asked.count("START") == 1
    row, _ = bench.heard()
    assert row.state is ScanState.UNKNOWN
    assert row.advice is not None


async def test_refused_before_a_byte_it_is_ready_and_sent_again_as_a_new_task() -> None:
    bench = Bench()
    bench.managers.errors["START"] = [TransientError("refused", sent=False)]
    await started(bench)
    assert bench.row().stage is ScanState.READY
    assert "forget" in bench.managers.asked
    old = bench.task()
    bench.clock.move(10)
    await bench.wake_due()
    assert len(bench.producer.on(wire.DEVICE_TASKS)) == 2
    await bench.agent.handle(old)  # redelivered: stale, as a newer one is out
    assert bench.managers.asked.count("START") == 1
    await bench.agent.handle(bench.task())
    assert bench.managers.asked.count("START") == 2
    assert (bench.row().stage, bench.row().starts) == (ScanState.STARTED, 2)
    assert bench.heard()[0].state is ScanState.STARTED
    assert not bench.parked.rows


async def test_where_devices_read_kafka_themselves_nothing_is_posted() -> None:
    bench = Bench(gateway=False)
    await started(bench)
    assert "START" not in bench.managers.asked
    assert bench.row().stage is ScanState.READY


async def test_a_worker_that_may_be_a_zombie_posts_nothing() -> None:
    bench = Bench()
    await bench.agent.handle(bench.job())
    bench.guard.beat()
    bench.managers.hook = lambda what: bench.clock.move(8 if what == "device" else 0)

    with pytest.raises(Death):
        await bench.agent.handle(bench.task())
    assert "START" not in bench.managers.asked


async def test_a_device_that_stays_away_gets_no_second_intent() -> None:
    """Each intent is two events: one that is switched off for an hour would flood everybody."""
    bench = Bench()
    bench.managers.errors["START"] = [TransientError("refused", sent=False)]
    bench.managers.errors["connect"] = [TransientError("refused", sent=False)] * 5
    await bench.agent.handle(bench.job())
    await bench.agent.handle(bench.task())
    assert bench.row().starts == 1
    for _ in range(5):
        bench.clock.move(60)
        await bench.wake_due()
        await bench.agent.handle(bench.task())
    assert bench.row().starts == 1
    assert bench.managers.asked.count("connect") == 5
    bench.clock.move(60)
    await bench.wake_due()
    await bench.agent.handle(bench.task())
    assert (bench.row().starts, bench.row().stage) == (2, "STARTED")
