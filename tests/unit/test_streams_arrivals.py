"""What a stream gives out: tracked until it is acknowledged, nothing of an assignment that is gone."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from streams.arrivals import TURN_EVERY, Raw, arrivals
from tests.unit.test_streams_fakes import settle_loop


class Bench:
    """A stream with what `arrivals` needs of Faust's."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.flows = True
        self.unacked: set[Any] = set()
        self.started = False
        self.should_stop = False
        self.channel = SimpleNamespace(queue=self.queue)
        self.app = SimpleNamespace(
            flow_control=SimpleNamespace(is_active=lambda: self.flows),
            consumer_generation_id=3,
            consumer=SimpleNamespace(unacked=self.unacked),
            topics=SimpleNamespace(acking_topics={"in"}),
        )

    async def maybe_start(self) -> None:
        self.started = True

    def put(self, topic: str = "in", generation: int = 3, *, tracked: bool = False) -> Any:
        message = _Message(topic, generation, tracked)
        self.queue.put_nowait(SimpleNamespace(message=message))
        return message


class _Message:
    def __init__(self, topic: str, generation: int, tracked: bool) -> None:
        self.topic, self.generation_id, self.tracked = topic, generation, tracked


async def test_messages_are_tracked_when_they_are_given_out() -> None:
    bench = Bench()
    first, other = bench.put(), bench.put("changelog")
    events = arrivals(bench)
    assert (await anext(events)).message is first
    assert bench.started
    assert first.tracked
    assert bench.unacked == {first}
    assert (await anext(events)).message is other
    assert bench.unacked == {first}, "nobody acknowledges a topic that is no input"


async def test_messages_of_an_assignment_that_is_gone_are_left_untracked() -> None:
    bench = Bench()
    old, new = bench.put(generation=2), bench.put()
    assert (await anext(arrivals(bench))).message is new
    assert not old.tracked
    assert bench.unacked == {new}


async def test_nothing_is_given_out_while_partitions_go() -> None:
    bench = Bench()
    bench.flows = False
    left = bench.put()
    events = arrivals(bench)
    coming = asyncio.ensure_future(anext(events))
    await settle_loop()
    assert bench.queue.empty()
    bench.flows = True
    after = bench.put()
    assert (await coming).message is after
    assert not left.tracked


async def test_others_get_their_turn_while_many_messages_wait() -> None:
    bench = Bench()
    for _ in range(3 * TURN_EVERY):
        bench.put()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    busy = asyncio.create_task(other())
    events = arrivals(bench)
    for _ in range(3 * TURN_EVERY):
        await anext(events)
    busy.cancel()
    assert turns >= 3


async def test_it_ends_when_the_stream_stops() -> None:
    bench = Bench()
    bench.put()
    events = arrivals(bench)
    await anext(events)
    bench.should_stop = True
    assert [event async for event in events] == []


async def test_it_ends_when_faust_throws_the_stop_into_its_queue() -> None:
    bench = Bench()
    events = arrivals(bench)
    coming = asyncio.ensure_future(anext(events, None))
    await settle_loop()
    getters: Any = bench.queue
    getters._getters.popleft().set_exception(StopAsyncIteration())
    assert await coming is None


@pytest.mark.parametrize(("key", "value"), [(b"\xff", b"{}"), (None, b"\x00\xfe"), (b"k", None)])
async def test_keys_and_values_are_taken_as_they_are(
    key: bytes | None, value: bytes | None
) -> None:
    message: Any = SimpleNamespace(key=key, value=value, headers=[("h", b"1")])
    event = await Raw().compile(None)(message, propagate=True)
    assert (event.key, event.value, event.message) == (key, value, message)
