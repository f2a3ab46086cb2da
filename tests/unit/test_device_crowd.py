"""A crowd of jobs for one device: lined up without waiting for the broker, and nothing of it is lost."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from agents.device.start_scan import EARLY_BYTES
from models import wire
from models.errors import TransientError
from models.events import ScanState
from models.work import PARKED, ParkedRow
from streams.topics import partition_of
from tests.unit.test_device_bench import Bench

AWAY = TransientError("no route")


async def turns() -> None:
    """Let others run as long as they have something to do."""
    for _ in range(50):
        await asyncio.sleep(0)


async def crowded() -> Bench:
    """Make a device's agent with one job parked."""
    bench = Bench()
    bench.managers.errors["sequence"] = [AWAY] * 9
    await bench.agent.handle(bench.job("r-1", offset=1))
    return bench


def told(bench: Bench, request: str) -> list[tuple[str, str | None]]:
    """Give ids and states of what was announced of a request, in order."""
    return [(one.event_id, one.state) for one in bench.events() if one.request_id == request]


async def test_a_job_behind_others_is_in_its_place_before_the_broker_has_it() -> None:
    bench = await crowded()
    rest = await bench.agent.begin(bench.job("r-2", offset=2))
    assert bench.row("r-2").stage is ScanState.WAITING
    parked = sorted(bench.parked.items(), key=lambda item: item[1])
    assert [row.request_id for _, _, row in parked] == ["r-1", "r-2"]
    assert rest is not None, "the next job of the device need not wait for this one's writes"
    await rest
    assert [state for _, state in told(bench, "r-2")] == [ScanState.ACCEPTED, ScanState.WAITING]
    assert bench.managers.asked.count("sequence") == 1


async def test_a_job_that_was_lined_up_and_not_announced_is_announced_when_it_comes_again() -> None:
    bench = await crowded()
    rest = await bench.agent.begin(bench.job("r-2", offset=2))
    assert rest is not None
    await rest
    before = told(bench, "r-2")
    bench.producer.sent.clear()  # the worker died before the events were out
    bench.restart()
    rest = await bench.agent.begin(bench.job("r-2", offset=2))
    if rest is not None:
        await rest
    assert told(bench, "r-2") == before
    assert len(list(bench.parked.items())) == 2


async def test_a_job_that_comes_again_after_its_record_is_accepted_once() -> None:
    bench = Bench()
    for _ in range(2):
        await bench.agent.handle(bench.job())
    accepted = [event_id for event_id, state in told(bench, "r-1") if state == "ACCEPTED"]
    assert len(accepted) == 2
    assert len(set(accepted)) == 1, "consumers drop the second by its id"


async def test_the_next_job_of_a_device_need_not_wait_until_the_broker_has_this_ones_task() -> None:
    bench = Bench()
    bench.producer.silent = True
    rests = [await bench.agent.begin(bench.job(f"r-{n}", offset=n)) for n in (1, 2)]
    tasks = bench.producer.on(wire.DEVICE_TASKS)
    assert [task.header[wire.REQUEST_ID] for task in tasks] == [b"r-1", b"r-2"]
    for rest in rests:
        assert rest is not None, "it is not settled before the broker has it"
        settling = asyncio.ensure_future(rest)
        await turns()
        assert not settling.done()
        settling.cancel()


@pytest.mark.parametrize("why", ["limit", "parked", "large"])
async def test_it_waits_where_something_follows_from_that(why: str) -> None:
    bench = Bench(scans_per_device=int(why == "limit"))
    if why == "large":
        bench.managers.sequence = b"[" + b"1," * EARLY_BYTES + b"1]"
    elif why == "parked":
        other = ParkedRow(request_id="r-0", reason="waits", since_ms=0)
        bench.managers.hook = lambda _: bench.work.put(
            partition_of(b"d", 8), "d", f"{PARKED}later", other
        )
    bench.producer.silent = True
    settling = asyncio.create_task(bench.agent.begin(bench.job("r-1", offset=1)))
    await turns()
    assert len(bench.producer.on(wire.DEVICE_TASKS)) == 1
    assert not settling.done()
    settling.cancel()


async def test_a_task_whose_batch_is_full_goes_before_that_of_the_devices_next_job() -> None:
    bench = Bench(gateway=False)
    room = asyncio.Event()
    send = bench.producer.send
    waited: list[str] = []

    async def full(topic: str, *rest: Any) -> Awaitable[Any]:
        if topic == wire.DEVICE_TASKS and not waited:
            waited.append(topic)
            await room.wait()
        return await send(topic, *rest)

    bench.producer.send = full  # type: ignore[method-assign, assignment]
    first = asyncio.create_task(bench.agent.begin(bench.job("r-1", offset=1)))
    await turns()
    assert waited
    assert not first.done(), "the next job of the device may not begin yet"
    room.set()
    rest = await first
    assert rest is not None
    await rest
    await bench.agent.handle(bench.job("r-2", offset=2))
    tasks = bench.producer.on(wire.DEVICE_TASKS)
    assert [task.header[wire.REQUEST_ID] for task in tasks] == [b"r-1", b"r-2"]
