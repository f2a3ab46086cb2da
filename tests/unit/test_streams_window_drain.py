"""Draining: what runs ends and is acknowledged; what has not begun is left and comes again."""

import asyncio

from streams.window import OPEN_PER_SLOT, LeftError
from tests.unit.test_streams_fakes import settle_loop
from tests.unit.test_streams_window import Bench


async def test_what_runs_ends_and_what_has_not_begun_is_left() -> None:
    async with Bench(in_flight=2) as bench:
        running = bench.put(b"x")
        bench.put(b"x")  # waits for its key
        other = bench.put(b"y")
        bench.put(b"z")  # waits for a slot
        await bench.until(lambda: len(bench.begun) == 2)
        draining = asyncio.create_task(bench.window.drain(10))
        await settle_loop()
        assert not draining.done()
        bench.let_go(running, other)
        assert await draining is True
        assert bench.begun == [running, other]
        # `other` is behind one that was left: acknowledging it would lose that one.
        assert bench.acked == [running]
        assert bench.window.open == 0


async def test_what_comes_during_a_drain_is_dropped_and_afterwards_it_works_again() -> None:
    async with Bench() as bench:
        running = bench.put(b"x")
        await bench.until(lambda: bench.begun == [running])
        draining = asyncio.create_task(bench.window.drain(10))
        await settle_loop()
        bench.put(b"y")
        await settle_loop()
        bench.let_go(running)
        assert await draining is True
        bench.generation = 2
        later = bench.put(b"x")
        bench.let_go(later)
        await bench.until(lambda: later in bench.acked)
        assert bench.begun == bench.acked == [running, later]


async def test_a_full_window_that_drains_does_not_stay_full() -> None:
    async with Bench(in_flight=1) as bench:
        places = [bench.put(f"{n}".encode()) for n in range(OPEN_PER_SLOT + 2)]
        await bench.until(lambda: bench.window.open == OPEN_PER_SLOT)
        draining = asyncio.create_task(bench.window.drain(10))
        await settle_loop()
        bench.let_go(places[0])
        assert await draining is True
        bench.generation = 2
        later = bench.put(b"later")
        bench.let_go(later)
        await bench.until(lambda: later in bench.acked)
        assert bench.acked == [places[0], later]


async def test_a_handler_that_leaves_its_message_is_a_wall_and_no_fault() -> None:
    async with Bench() as bench:
        left, behind = bench.put(b"x"), bench.put(b"y")
        bench.errors[left] = LeftError()
        await bench.until(lambda: len(bench.begun) == 2)
        draining = asyncio.create_task(bench.window.drain(10))
        await settle_loop()
        during = bench.window.draining
        bench.let_go(left, behind)
        assert await draining is True
        assert (during, bench.window.draining) == (True, False)
        assert bench.acked == []
        assert bench.fatal == []


async def test_a_full_window_whose_messages_were_all_left_works_again() -> None:
    async with Bench(in_flight=1) as bench:
        places = [bench.put(f"{n}".encode()) for n in range(OPEN_PER_SLOT + 2)]
        bench.errors[places[0]] = LeftError()
        await bench.until(lambda: bench.window.open == OPEN_PER_SLOT)
        draining = asyncio.create_task(bench.window.drain(10))
        await settle_loop()
        bench.let_go(places[0])
        assert await draining is True
        bench.generation = 2
        later = bench.put(b"later")
        bench.let_go(later)
        await bench.until(lambda: bench.acked == [later])


async def test_an_empty_window_drains_at_once() -> None:
    async with Bench() as bench:
        assert await bench.window.drain(10) is True


async def test_what_does_not_end_in_time_is_told() -> None:
    async with Bench() as bench:
        stuck = bench.put()
        await bench.until(lambda: bench.begun == [stuck])
        assert await bench.window.drain(0) is False
        bench.let_go(stuck)


async def test_the_end_of_the_stream_ends_what_runs_without_acknowledging() -> None:
    bench = Bench()
    async with bench:
        stuck = bench.put()
        await bench.until(lambda: bench.begun == [stuck])
    await settle_loop()
    assert bench.acked == []
    assert bench.fatal == []
    assert bench.window.working == 0
