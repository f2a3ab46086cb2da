"""A coroutine that is begun at once behaves as one that is awaited."""

import asyncio

import pytest

from streams.eager import begin


async def test_what_need_not_wait_is_done_at_once() -> None:
    async def quick() -> int:
        return 7

    assert begin(quick()) == (7, None)


async def test_what_waits_goes_on_when_the_rest_is_awaited() -> None:
    gate: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    steps = []

    async def slow() -> int:
        steps.append("begun")
        first = await gate
        await asyncio.sleep(0)
        steps.append("done")
        return first + 1

    _, rest = begin(slow())
    assert steps == ["begun"]
    assert rest is not None
    gate.set_result(1)
    assert await asyncio.ensure_future(rest) == 2
    assert steps == ["begun", "done"]


async def test_errors_come_out_where_they_arise() -> None:
    async def at_once() -> None:
        raise KeyError

    async def later() -> None:
        await asyncio.sleep(0)
        raise KeyError

    with pytest.raises(KeyError):
        begin(at_once())
    _, rest = begin(later())
    assert rest is not None
    with pytest.raises(KeyError):
        await rest


async def test_a_cancellation_reaches_the_coroutine() -> None:
    seen = []

    async def endless() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    _, rest = begin(endless())
    assert rest is not None
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]
