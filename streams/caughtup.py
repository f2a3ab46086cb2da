"""Whether all that was sent up to a moment has been handled: only then may silence mean anything.

A worker that was down for two hours comes back to deadlines that have passed, and to the statuses that
lie unread behind them. So the ends of all inputs of the partition are asked for once the deadline has
passed, and it acts when all before those ends is handled. The ends are kept: under load there is
always something newer that is not.
"""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiokafka.errors import KafkaError
from faust.types import TP

from streams.offsets import Offsets
from streams.window import Window

EACH_MS: Final = 1_000
"""At most so often the broker is asked for the ends of one partition, however many scans are due."""
KEPT: Final = 8
"""So many answers are kept of a partition. Each is good for every deadline that had passed then."""


class End(NamedTuple):
    """Where a topic-partition ends, and up to where it was fetched."""

    offset: int
    position: int


Ends = dict[TP, End]


@dataclass(slots=True)
class _Look:
    """Where a partition's inputs ended at a time."""

    at_ms: int
    epoch: Hashable
    ends: dict[TP, int]
    fetched: bool = False
    """Whether all before the ends was fetched: the last of it may be a transaction's marker, which no
    stream ever sees."""


class CaughtUp:
    """Tells whether an aggregate's window has handled all that a partition was sent up to a time.

    `epoch` changes with each assignment and seek: what was seen before it says nothing any more.
    """

    def __init__(
        self,
        topics: list[str],
        *,
        window: Callable[[], Window],
        offsets: Callable[[], Offsets],
        ask: Callable[[list[TP]], Awaitable[Ends]],
        now_ms: Callable[[], int],
        epoch: Callable[[], Hashable],
    ) -> None:
        self._topics = topics
        self._window = window
        self._offsets = offsets
        self._ask = ask
        self._now_ms = now_ms
        self._epoch = epoch
        self._looks: dict[int, list[_Look]] = {}
        self._asked_ms: dict[int, int] = {}
        self._asking = False

    async def __call__(self, partition: int, since_ms: int) -> bool:
        """Tell whether all is handled that was sent up to a time that has passed.

        The first time that is not so, as the message that asks is not done itself: ask again a
        second later.
        """
        epoch = self._epoch()
        looks = [one for one in self._looks.get(partition, []) if one.epoch == epoch]
        look = next((one for one in looks if one.at_ms >= since_ms), None)
        if look is not None and self._is_handled(look):
            return True
        now = self._now_ms()
        soon = abs(now - self._asked_ms.get(partition, -EACH_MS)) < EACH_MS
        if self._asking or soon or (look is not None and look.fetched):
            return False
        self._asked_ms[partition] = now
        found = await self._look(partition)
        if found is None:
            return False
        if look is None:
            look = _Look(now, epoch, {place: end.offset for place, end in found.items()})
            self._looks[partition] = [*looks[1 - KEPT :], look]
        look.fetched = all(found[place].position >= end for place, end in look.ends.items())
        return False

    async def _look(self, partition: int) -> Ends | None:
        self._asking = True
        try:
            return await self._ask([TP(topic, partition) for topic in self._topics])
        except (TimeoutError, KafkaError):
            return None  # a broker that does not answer, or a rebalance: nothing is known
        finally:
            self._asking = False

    def _is_handled(self, look: _Look) -> bool:
        window, offsets = self._window(), self._offsets()
        for place, end in look.ends.items():
            first, expected = window.first_open(place), offsets.next(place)
            if first is not None and first < end:
                return False
            reached = expected is not None and expected >= end
            if not reached and (not look.fetched or offsets.on_its_way(place)):
                return False
        return True
