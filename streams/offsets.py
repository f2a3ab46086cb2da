"""Which offsets were fetched, and which will never come: so that a commit never passes a lost message.

Faust drops messages between its fetcher and its streams in some rebalances (its queues are cleared
when the flow resumes after a recovery, a fetch that overlaps a rebalance is broken off) and takes the
holes for offsets that a compaction removed: it commits past them, and the messages are lost. Here a
hole counts as empty only if the broker itself skipped it in one sequential read. No I/O.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable


class Offsets:
    """The fetched offsets of each topic-partition (a place)."""

    def __init__(self) -> None:
        self._last: dict[Hashable, int] = {}
        self._first: dict[Hashable, int] = {}
        self._empty: defaultdict[Hashable, dict[int, int]] = defaultdict(dict)
        self.seeks = 0
        self._taken: set[Hashable] = set()
        self._next: dict[Hashable, int] = {}
        self._skips: defaultdict[Hashable, dict[int, int]] = defaultdict(dict)
        self.broken: set[Hashable] = set()
        """Places of which a later message reached its stream before the one that is expected."""

    def sought(self, place: Hashable, offset: int) -> None:
        """Note that reading goes on at an offset."""
        self.seeks += 1
        self._last[place] = offset - 1
        if place not in self._taken:
            self._next[place] = offset
            self._skips.pop(place, None)
        # Else not lowered by a seek back: what was taken already comes twice then, and that is fine.

    def fetched(self, place: Hashable, offsets: Iterable[int], *, start: int | None) -> None:
        """Note offsets that the broker gave, in order, read from `start` on; what it skipped is empty.

        `start` is the consumer's own position (streams/reading.py), None where it is not known. What
        was last seen here says nothing of it: between the two lie fetches of which nobody got the
        result, and seeks. Taken for empty, it was passed by a commit: jobs were lost after one kill
        of twelve on a loaded machine.
        """
        for offset in offsets:
            self._first.setdefault(place, offset)
            if start is not None and offset > start:
                self.skipped(place, start, offset)
            self._next.setdefault(place, offset)
            self._last[place] = offset
            start = offset + 1

    def skipped(self, place: Hashable, start: int, end: int) -> None:
        """Note that the broker holds no message from `start` on and before `end`."""
        self._empty[place][start] = end
        self._skips[place][start] = end

    def forget(self, place: Hashable) -> None:
        """Forget a place that is no longer ours."""
        for kept in (self._last, self._first, self._empty, self._next, self._skips):
            kept.pop(place, None)
        self.broken.discard(place)
        self._taken.discard(place)

    def restart(self) -> None:
        """Expect everything anew: the windows left what they had not begun, and it comes again."""
        self._next.clear()
        self._skips.clear()
        self._taken.clear()

    def take(self, place: Hashable, offset: int) -> bool:
        """Note that a message reached its stream; tell whether none before it is missing.

        Where one is, this one is not noted: it is to be left, and comes again after the missing one.
        """
        expected, skips = self._next.get(place, offset), self._skips[place]
        while expected in skips and expected < offset:
            expected = skips.pop(expected)
        whole = offset <= expected
        self._taken.add(place)
        if not whole:
            self.broken.add(place)
        self._next[place] = max(expected, offset + 1) if whole else expected
        return whole

    def next(self, place: Hashable) -> int | None:
        """Give the offset that is expected next by a place's stream; None if none was fetched yet."""
        return self._next.get(place)

    def on_its_way(self, place: Hashable) -> bool:
        """Tell whether a message was fetched and has not reached its stream."""
        expected, last = self._next.get(place), self._last.get(place)
        return expected is not None and last is not None and expected <= last

    def first(self, place: Hashable) -> int | None:
        """Give the first offset fetched since the place became ours."""
        return self._first.get(place)

    def last(self, place: Hashable) -> int | None:
        """Give the last offset fetched."""
        return self._last.get(place)

    def after(self, place: Hashable, offset: int) -> int:
        """Give the next offset at or after one that may hold a message."""
        empty = self._empty[place]
        while offset in empty:
            offset = empty[offset]
        return offset

    def settled(self, place: Hashable, base: int, done: set[int]) -> int:
        """Give the offset up to which all is done, from `base` on; takes what it passed from `done`."""
        offset = self.after(place, base)
        while offset in done:
            done.discard(offset)
            offset = self.after(place, offset + 1)
        empty = self._empty[place]
        for start in [one for one in empty if one < offset]:
            del empty[start]
        return offset
