"""From where a fetch read on, as aiokafka's own fetch results tell it."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from streams.offsets import Offsets
from streams.reading import Read, Result

PLACE = ("scan-jobs", 0)


class Records:
    """A partition's records of one fetch; the position ends behind a marker that is no record."""

    def __init__(self, start: int, offsets: list[int], end: int) -> None:
        self.next_fetch_offset = start
        self._rest = self._give(offsets, end)

    def _give(self, offsets: list[int], end: int) -> Iterator[Any]:
        for offset in offsets:
            self.next_fetch_offset = offset + 1
            yield SimpleNamespace(offset=offset)
        self.next_fetch_offset = end

    def __iter__(self) -> Iterator[Any]:
        return self._rest


class Consumer:
    """What is read of aiokafka's consumer: one assigned place and its position."""

    def __init__(self, position: int) -> None:
        self.state = SimpleNamespace(position=position, paused=False, has_valid_position=True)
        self.state.consumed_to = lambda position: setattr(self.state, "position", position)
        self.assignment = SimpleNamespace(active=True, state_value=lambda _: self.state)
        self._subscription = SimpleNamespace(
            subscription=SimpleNamespace(assignment=self.assignment)
        )

    def fetch(self, offsets: list[int], end: int) -> Read:
        records: Any = Records(self.state.position, offsets, end)
        result = Result(PLACE, assignment=self.assignment, partition_records=records, backoff=0)
        taken = result.getall(500)
        return Read({PLACE: taken} if taken else {}, self)


def test_a_marker_behind_the_last_record_is_told_with_the_next() -> None:
    consumer, offsets = Consumer(10), Offsets()
    offsets.sought(PLACE, 10)
    for found, end in (([10, 11], 13), ([], 14), ([14, 15], 16)):
        read = consumer.fetch(found, end)
        for place, records in read.items():
            numbers = [record.offset for record in records]
            offsets.fetched(place, numbers, start=read.start[place])
            assert all(offsets.take(place, number) for number in numbers)
    assert offsets.settled(PLACE, 10, {10, 11, 14, 15}) == 16


def test_what_is_read_after_a_lost_fetch_begins_behind_it() -> None:
    consumer = Consumer(10)
    consumer.fetch([10, 11, 12], 13)  # and its result comes to nobody
    assert consumer.fetch([13], 14).start == {PLACE: 13}


def test_a_seek_begins_anew() -> None:
    consumer = Consumer(10)
    consumer.fetch([10, 11], 13)
    consumer.state.position = 4
    assert consumer.fetch([6], 7).start == {PLACE: 4}
