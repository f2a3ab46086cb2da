"""The window: one at a time for each key, many keys at once, acknowledged in order."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.window import FEW_OF_ONE_KEY, MOST_OF_ONE_KEY, OPEN_PER_SLOT, Window
from tests.unit.test_streams_fakes import settle_loop

Place = tuple[str, int, int]


def place_of(event: Any) -> Place:
    topic, partition = event.message.tp
    return topic, partition, event.message.offset


class Bench:
    """A window with fake events; each handler waits for its gate."""

    def __init__(self, in_flight: int = 10, *, gates_open: bool = False) -> None:
        self.begun: list[Place] = []
        self.acked: list[Place] = []
        self.fatal: list[BaseException] = []
        self.errors: dict[Place, BaseException] = {}
        self.rests: dict[Place, asyncio.Future[None]] = {}
        self.generation = 1
        self.running: Counter[tuple[int, bytes | None]] = Counter()
        self.most_at_once = 0
        self.overlaps = 0
        self._gates: defaultdict[Place, asyncio.Event] = defaultdict(asyncio.Event)
        self._gates_open = gates_open
        self._offsets: Counter[tuple[str, int]] = Counter()
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._moved = asyncio.Event()
        self.window = Window(
            self._handle,
            in_flight=in_flight,
            generation=lambda: self.generation,
            fatal=self.fatal.append,
        )

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.window.run(self._events(), self._acknowledge))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        await self._queue.put(None)
        async with asyncio.timeout(10):
            await (asyncio.gather(self.task, return_exceptions=True) if kind else self.task)

    def put(
        self,
        key: bytes | None = b"k",
        *,
        topic: str = "a",
        partition: int = 0,
        generation: int | None = None,
    ) -> Place:
        """Let an event come."""
        offset = self._offsets[topic, partition]
        self._offsets[topic, partition] += 1
        message = SimpleNamespace(
            tp=(topic, partition),
            partition=partition,
            offset=offset,
            key=key,
            generation_id=self.generation if generation is None else generation,
        )
        self._queue.put_nowait(SimpleNamespace(message=message))
        return topic, partition, offset

    def let_go(self, *places: Place) -> None:
        """Let handlers end."""
        for place in places:
            self._gates[place].set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so; looks whenever something moved."""
        async with asyncio.timeout(10):
            while not condition():
                self._moved.clear()
                await self._moved.wait()

    async def _events(self) -> AsyncIterator[Any]:
        while (event := await self._queue.get()) is not None:
            yield event

    async def _handle(self, event: Any) -> asyncio.Future[None] | None:
        place, key = place_of(event), (event.message.partition, event.message.key)
        self.begun.append(place)
        self.running[key] += 1
        self.overlaps += event.message.key is not None and self.running[key] > 1
        self.most_at_once = max(self.most_at_once, self.running.total())
        self._moved.set()
        try:
            if not self._gates_open:
                await self._gates[place].wait()
            if place in self.errors:
                raise self.errors[place]
        finally:
            self.running[key] -= 1
        return self.rests.get(place)

    def _acknowledge(self, event: Any) -> None:
        self.acked.append(place_of(event))
        self._moved.set()


async def test_one_key_is_handled_one_after_the_other_across_topics() -> None:
    async with Bench() as bench:
        first, second = bench.put(topic="a"), bench.put(topic="b")
        await bench.until(lambda: bench.begun == [first])
        await settle_loop()
        assert bench.begun == [first]
        bench.let_go(first)
        await bench.until(lambda: bench.begun == [first, second])
        bench.let_go(second)
        await bench.until(lambda: len(bench.acked) == 2)


async def test_a_handler_sees_what_waits_behind_its_message_in_its_topic_and_key() -> None:
    async with Bench() as bench:
        first, other, second = bench.put(topic="a"), bench.put(topic="b"), bench.put(topic="a")
        bench.put(b"x", topic="a", partition=1)
        await bench.until(lambda: first in bench.begun)
        await settle_loop()

        def behind() -> list[Any]:
            return [one.offset for one in bench.window.behind("a", 0, b"k")]

        assert behind() == [second[2]]
        third = bench.put(topic="a")
        await settle_loop()
        assert behind() == [second[2], third[2]]
        bench.let_go(first, other)
        await bench.until(lambda: second in bench.begun)
        assert behind() == [third[2]]
        bench.let_go(second, third, ("a", 1, 0))
        await bench.until(lambda: len(bench.acked) == 5)
        assert behind() == []


async def test_different_keys_and_the_same_key_of_other_partitions_run_side_by_side() -> None:
    async with Bench() as bench:
        places = [bench.put(b"x"), bench.put(b"y"), bench.put(b"x", partition=1)]
        places += [bench.put(None), bench.put(None)]
        await bench.until(lambda: bench.running.total() == 5)
        bench.let_go(*places)
        await bench.until(lambda: len(bench.acked) == 5)


async def test_acknowledged_in_order_though_handlers_end_in_reverse() -> None:
    async with Bench() as bench:
        places = [bench.put(f"{n}".encode()) for n in range(5)]
        await bench.until(lambda: len(bench.begun) == 5)
        for place in reversed(places[1:]):
            bench.let_go(place)
            await settle_loop()
        assert bench.acked == []
        bench.let_go(places[0])
        await bench.until(lambda: len(bench.acked) == 5)
        assert bench.acked == places


async def test_what_is_in_flight_and_what_is_open_is_bounded() -> None:
    async with Bench(in_flight=3) as bench:
        places = [bench.put(f"{n}".encode()) for n in range(3 * OPEN_PER_SLOT + 9)]
        await bench.until(lambda: len(bench.begun) == 3)
        await settle_loop()
        assert len(bench.begun) == bench.window.working == 3
        assert bench.window.open == 3 * OPEN_PER_SLOT
        bench.let_go(*places)
        await bench.until(lambda: bench.acked == places)
        assert bench.most_at_once == 3
        assert bench.window.open == bench.window.working == 0


async def test_what_a_handler_leaves_to_be_awaited_lets_its_key_go_on_but_is_not_done() -> None:
    async with Bench() as bench:
        first, second = bench.put(b"k"), bench.put(b"k")
        bench.rests[first] = asyncio.get_running_loop().create_future()
        bench.let_go(first, second)
        await bench.until(lambda: bench.begun == [first, second])
        await settle_loop()
        assert bench.acked == [], "its acknowledgement is still to come"
        draining = asyncio.create_task(bench.window.drain(10))
        await settle_loop()
        assert not draining.done()
        bench.rests[first].set_result(None)
        assert await draining is True
        assert bench.acked == [first, second]


async def test_the_crowd_of_one_key_is_told_until_few_are_left() -> None:
    async with Bench() as bench:
        places = [bench.put(b"crowd") for _ in range(MOST_OF_ONE_KEY)]
        others = [bench.put(f"{n}".encode(), partition=1) for n in range(MOST_OF_ONE_KEY + 1)]
        await bench.until(lambda: bool(bench.window.crowded))
        bench.let_go(*others)
        await bench.until(lambda: set(others) <= set(bench.acked))
        assert bench.window.crowded == {("a", 0)}, "many keys are no crowd"
        bench.let_go(*places[: -FEW_OF_ONE_KEY - 1])
        await bench.until(lambda: places[-FEW_OF_ONE_KEY - 2] in bench.acked)
        await settle_loop()
        assert bench.window.crowded == {("a", 0)}
        bench.let_go(*places)
        await bench.until(lambda: places[-1] in bench.acked)
        await settle_loop()
        assert bench.window.crowded == set()


@pytest.mark.parametrize("key", [b"k", b"other"])
async def test_a_handler_that_raises_is_fatal_and_nothing_behind_it_is_acknowledged(
    key: bytes,
) -> None:
    async with Bench() as bench:
        before = bench.put(b"before")
        bad, behind = bench.put(b"k"), bench.put(key)
        apart = bench.put(b"k2", topic="b")
        bench.errors[bad] = RuntimeError("not settled")
        bench.let_go(before, bad, behind, apart)
        await bench.until(lambda: len(bench.acked) == 2)
        await settle_loop()
        assert [str(error) for error in bench.fatal] == ["not settled"]
        assert bench.acked == [before, apart]


async def test_a_handler_that_ends_cancelled_is_not_passed_over_in_silence() -> None:
    # An inner task that somebody else cancelled looks like this. The message is not settled, so the
    # partition would stand still for ever, unseen, if nobody were told (promises 4 and 6).
    async with Bench() as bench:
        bad = bench.put(b"k")
        bench.errors[bad] = asyncio.CancelledError()
        bench.let_go(bad)
        await bench.until(lambda: bench.begun == [bad])
        await settle_loop()
        assert bench.acked == []
        assert len(bench.fatal) == 1


async def test_events_of_an_older_generation_are_dropped() -> None:
    async with Bench(gates_open=True) as bench:
        bench.put(b"old", generation=0)
        now = bench.put(b"now")
        await bench.until(lambda: bench.acked == [now])
        assert bench.begun == [now]


async def test_five_thousand_events_of_one_key_stay_in_order() -> None:
    async with Bench(in_flight=100, gates_open=True) as bench:
        places = [bench.put(topic="ab"[n % 2]) for n in range(5_000)]
        await bench.until(lambda: len(bench.acked) == 5_000)
        assert bench.begun == places
        assert bench.overlaps == 0
        await settle_loop()
        assert not bench.window._tails


EVENTS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 1), st.sampled_from([b"x", b"y", None])),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(events=EVENTS, order=st.randoms(use_true_random=False), in_flight=st.integers(1, 6))
def test_whatever_comes_and_ends_in_whatever_order(
    events: list[tuple[str, int, bytes | None]], order: Any, in_flight: int
) -> None:
    async def play() -> None:
        async with Bench(in_flight=in_flight) as bench:
            places = [bench.put(k, topic=topic, partition=p) for topic, p, k in events]
            ended: set[Place] = set()
            while len(ended) < len(places):
                await bench.until(lambda: set(bench.begun) > ended)
                place = order.choice(sorted(set(bench.begun) - ended))
                ended.add(place)
                bench.let_go(place)
            await bench.until(lambda: len(bench.acked) == len(places))
            assert bench.overlaps == 0
            assert bench.most_at_once <= in_flight
            for tp in {place[:2] for place in places}:
                came = [place for place in places if place[:2] == tp]
                assert [place for place in bench.acked if place[:2] == tp] == came
            keys = {place: (p, k) for place, (_, p, k) in zip(places, events, strict=True)}
            for key in {key for key in keys.values() if key[1] is not None}:
                of_key = [place for place in places if keys[place] == key]
                assert [place for place in bench.begun if keys[place] == key] == of_key

    asyncio.run(play())
