import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from managers.cache import Cache


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Something to load from, which waits until it is let go."""

    def __init__(self) -> None:
        self.calls = 0
        self.started = asyncio.Event()
        self.go = asyncio.Event()
        self.error: Exception | None = None
        self.cancelled = False

    async def load(self) -> str:
        self.calls += 1
        number = self.calls
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.error is not None:
            raise self.error
        return f"value {number}"


def _cache(clock: Clock, ttl_s: float = 5.0, max_bytes: int = 100) -> Cache[str, str]:
    return Cache(ttl_s=ttl_s, max_bytes=max_bytes, size=len, clock=clock)


async def test_kept_for_its_time_and_no_longer() -> None:
    clock, source = Clock(), Source()
    cache = _cache(clock)
    source.go.set()
    assert await cache.get("a", source.load) == "value 1"
    clock.now += 4.9
    assert await cache.get("a", source.load) == "value 1"
    clock.now += 0.1
    assert await cache.get("a", source.load) == "value 2"


async def test_a_look_gives_what_is_kept_for_its_time_and_asks_nobody() -> None:
    clock, source = Clock(), Source()
    cache = _cache(clock)
    source.go.set()
    assert cache.peek("a") is None
    await cache.get("a", source.load)
    clock.now += 4.9
    assert cache.peek("a") == "value 1"
    clock.now += 0.1
    assert cache.peek("a") is None
    assert source.calls == 1


async def test_age_counts_from_the_start_of_the_call() -> None:
    clock, source = Clock(), Source()
    cache = _cache(clock)
    call = asyncio.create_task(cache.get("a", source.load))
    await source.started.wait()
    clock.now += 5
    source.go.set()
    assert await call == "value 1"
    assert await cache.get("a", source.load) == "value 2"


async def test_without_time_nothing_is_kept_but_calls_are_shared() -> None:
    source = Source()
    cache = _cache(Clock(), ttl_s=0)
    calls = [asyncio.create_task(cache.get("a", source.load)) for _ in range(3)]
    await source.started.wait()
    source.go.set()
    assert await asyncio.gather(*calls) == ["value 1"] * 3
    assert await cache.get("a", source.load) == "value 2"
    assert cache.kept_bytes == 0


async def test_a_hundred_callers_share_one_call() -> None:
    source = Source()
    cache = _cache(Clock())
    calls = [asyncio.create_task(cache.get("a", source.load)) for _ in range(100)]
    await source.started.wait()
    source.go.set()
    assert set(await asyncio.gather(*calls)) == {"value 1"}


async def test_a_failure_is_everybodys_and_is_not_kept() -> None:
    source = Source()
    source.error = ValueError("away")
    cache = _cache(Clock())
    calls = [asyncio.create_task(cache.get("a", source.load)) for _ in range(3)]
    await source.started.wait()
    source.go.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(one) for one in outcomes] == ["away"] * 3
    source.error = None
    assert await cache.get("a", source.load) == "value 2"


async def test_one_cancelled_caller_leaves_the_others_call_alone() -> None:
    source = Source()
    cache = _cache(Clock())
    first, second = (asyncio.create_task(cache.get("a", source.load)) for _ in range(2))
    await source.started.wait()
    first.cancel()
    await asyncio.wait([first])
    source.go.set()
    assert await second == "value 1"
    assert first.cancelled()
    assert not source.cancelled


async def test_the_last_cancelled_caller_ends_the_call() -> None:
    source = Source()
    cache = _cache(Clock())
    calls = [asyncio.create_task(cache.get("a", source.load)) for _ in range(2)]
    await source.started.wait()
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    source.go.set()
    assert await cache.get("a", source.load) == "value 2"
    assert source.cancelled


async def test_forgetting_drops_what_is_kept_and_what_is_under_way() -> None:
    source = Source()
    cache = _cache(Clock())
    call = asyncio.create_task(cache.get("a", source.load))
    await source.started.wait()
    cache.forget("a")
    source.go.set()
    assert await call == "value 1", "who waited gets what was asked for"
    assert await cache.get("a", source.load) == "value 2"
    cache.forget("a")
    assert cache.kept_bytes == 0
    assert await cache.get("a", source.load) == "value 3"
    cache.forget("never known")


async def _load(value: str) -> str:
    await asyncio.sleep(0)
    return value


async def test_the_least_recently_used_leave_first() -> None:
    cache = _cache(Clock(), max_bytes=6)
    for key in ("a", "b", "c"):
        await cache.get(key, lambda key=key: _load(key * 2))  # type: ignore[misc] # a default
    await cache.get("a", lambda: _load("not asked"))
    await cache.get("d", lambda: _load("dd"))
    assert await cache.get("a", lambda: _load("again")) == "aa"
    assert await cache.get("b", lambda: _load("nn")) == "nn"


async def test_what_is_too_large_is_given_and_not_kept() -> None:
    cache = _cache(Clock(), max_bytes=3)
    await cache.get("small", lambda: _load("s"))
    assert await cache.get("large", lambda: _load("1234")) == "1234"
    assert cache.kept_bytes == 1


@given(steps=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 12)), max_size=40))
def test_the_bound_holds_and_the_books_are_right(steps: list[tuple[str, int]]) -> None:
    async def run() -> None:
        cache = _cache(Clock(), max_bytes=20)
        for key, size in steps:
            if size == 0:
                cache.forget(key)
            else:
                await cache.get(key, lambda size=size: _load("x" * size))  # type: ignore[misc]
            assert 0 <= cache.kept_bytes <= 20
            assert cache.kept_bytes == sum(kept.size for kept in cache._kept.values())

    asyncio.run(run())


@pytest.mark.asyncio(loop_scope="function")  # it waits for all tasks of its loop
async def test_a_failure_that_nobody_waits_for_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    started = asyncio.Event()

    async def fails_when_cancelled() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("late")

    cache = _cache(Clock())
    call = asyncio.create_task(cache.get("a", fails_when_cancelled))
    await started.wait()
    call.cancel()
    await asyncio.wait([call])
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)
    assert caplog.records == []
