"""Silence means something only when all that was sent has been handled."""

from collections.abc import Hashable
from types import SimpleNamespace
from typing import Any, cast

from aiokafka.errors import IllegalStateError
from faust.types import TP

from streams.caughtup import CaughtUp, End, Ends
from streams.ledger import Entry, Ledger
from streams.offsets import Offsets
from streams.window import Window

STEPS, STATUS = TP("steps", 3), TP("status", 3)


class Bench:
    """A partition's two inputs: what the broker has, what was fetched, what is open."""

    def __init__(self) -> None:
        self.ends = {STEPS: 0, STATUS: 0}
        self.positions = {STEPS: 0, STATUS: 0}
        self.offsets = Offsets()
        self.ledger: Ledger[Any] = Ledger()
        self.now_ms = 10_000
        self.epoch: Hashable = 1
        self.asked = 0
        self.error: BaseException | None = None
        window = Window(self._never, in_flight=1, generation=lambda: 1, fatal=print)
        window._ledger = self.ledger
        self.caught_up = CaughtUp(
            ["steps", "status"],
            window=lambda: window,
            offsets=lambda: self.offsets,
            ask=self._ask,
            now_ms=lambda: self.now_ms,
            epoch=lambda: self.epoch,
        )

    async def _never(self, _: Any) -> None:
        raise AssertionError

    async def _ask(self, places: list[TP]) -> Ends:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return {place: End(self.ends[place], self.positions[place]) for place in places}

    def produced(self, place: TP, count: int = 1) -> None:
        self.ends[place] += count

    def fetched(self, place: TP) -> None:
        first, end = self.positions[place], self.ends[place]
        self.offsets.fetched(place, range(first, end), start=first)
        self.positions[place] = end

    def taken(self, place: TP, offset: int) -> Entry[Any]:
        assert self.offsets.take(place, offset)
        message = SimpleNamespace(tp=place, offset=offset)
        return self.ledger.begin(place, SimpleNamespace(message=message))

    async def later(self, since_ms: int = 10_000) -> bool:
        self.now_ms += 1_000
        return await self.caught_up(3, since_ms)


async def test_what_lies_unread_is_waited_for_and_then_what_is_open() -> None:
    bench = Bench()
    bench.produced(STEPS)
    bench.produced(STATUS, 2)
    bench.fetched(STEPS)
    asking = bench.taken(STEPS, 0)
    assert not await bench.caught_up(3, 10_000)
    bench.ledger.finish(asking)
    assert not await bench.later(), "nothing was fetched of the statuses"
    bench.fetched(STATUS)
    assert not await bench.later(), "they are on their way"
    first, second = bench.taken(STATUS, 0), bench.taken(STATUS, 1)
    assert not await bench.later(), "they are open"
    bench.ledger.finish(second)
    assert not await bench.later(), "the first is"
    bench.ledger.finish(first)
    assert await bench.later()


async def test_what_was_fetched_and_is_on_its_way_is_waited_for() -> None:
    bench = Bench()
    bench.produced(STATUS, 2)
    bench.fetched(STATUS)
    assert not await bench.caught_up(3, 10_000)
    assert not await bench.later()
    for offset in range(2):
        bench.ledger.finish(bench.taken(STATUS, offset))
    assert await bench.later()


async def test_what_comes_after_the_ends_were_taken_is_not_waited_for() -> None:
    bench = Bench()
    assert not await bench.caught_up(3, 10_000)
    bench.produced(STATUS, 5)
    bench.fetched(STATUS)
    bench.taken(STATUS, 0)
    assert await bench.later()
    assert bench.asked == 1
    assert not await bench.later(since_ms=12_000), "of a later time these say nothing"
    assert bench.asked == 2


async def test_many_that_are_due_ask_once() -> None:
    bench = Bench()
    bench.produced(STEPS)
    bench.fetched(STEPS)
    asking = bench.taken(STEPS, 0)
    assert not any([await bench.caught_up(3, 10_000 - n) for n in range(50)])
    assert bench.asked == 1
    bench.ledger.finish(asking)
    bench.now_ms += 1_000
    assert all([await bench.caught_up(3, 10_000 - n) for n in range(50)])
    assert not any([await bench.caught_up(3, 20_000) for n in range(50)])
    assert bench.asked == 2


async def test_an_end_that_no_stream_ever_sees_is_reached_when_it_was_fetched() -> None:
    bench = Bench()
    bench.produced(STATUS)
    bench.fetched(STATUS)
    bench.ledger.finish(bench.taken(STATUS, 0))
    bench.produced(STATUS)  # a transaction's marker
    assert not await bench.caught_up(3, 10_000)
    assert not await bench.later()
    bench.positions[STATUS] = 2
    assert not await bench.later()
    assert await bench.later()


async def test_a_broker_that_does_not_answer_or_a_rebalance_is_no_yes() -> None:
    bench = Bench()
    for error in (TimeoutError(), IllegalStateError("not assigned")):
        bench.error = error
        assert not await bench.later()
    bench.error = None
    assert not await bench.later()
    assert await bench.later()
    bench.epoch = 2
    assert not await bench.later(), "what was seen before an assignment says nothing"
    assert await bench.later(since_ms=12_000)


async def test_what_was_asked_over_a_rebalance_is_dropped() -> None:
    bench = Bench()
    real = bench._ask

    async def ask(places: list[TP]) -> Ends:
        bench.epoch = 2
        return await real(places)

    cast("Any", bench.caught_up)._ask = ask
    assert not await bench.later()
    assert not await bench.later()
    assert await bench.later()
    assert bench.asked == 2
