"""Open work: what can't go on now is a durable row, resumed when it is due.

Retries, messages that came before their record, files to be copied, jobs that wait for a manager or a
device: all are rows of this one mechanism. A row belongs to an owner (a device, a record) and has a
name that sorts in the order of its work. The table is small: a row goes when its work is done. What is
due, and in which order, is kept in memory and built anew after each recovery.
"""

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from models.work import WorkRow
from streams.tables import DurableTable, Write

SEPARATOR = "\x00"  # ids hold no control characters (models/base.py), so a key splits one way only


def back_off_ms(tries: int, first_s: float, most_s: float) -> int:
    """Give the wait before the next try, ms: doubling, bounded."""
    return int(min(most_s, first_s * 2.0 ** min(tries, 30)) * 1000)


RowT = TypeVar("RowT", bound=WorkRow)


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A row whose time has come."""

    due_ms: int
    partition: int
    owner: str
    name: str
    version: int


class OpenWork(Generic[RowT]):
    """The rows of one table, in order for each owner, with their due times."""

    def __init__(self, table: DurableTable[RowT]) -> None:
        self._table = table
        self._names: dict[tuple[int, str], list[str]] = {}
        self._heap: list[Due] = []
        self.size = 0

    def rebuild(self) -> list[tuple[int, str, str, RowT]]:
        """Read the table anew, after a recovery; gives all rows that this worker owns."""
        self._names.clear()
        self._heap.clear()
        self.size = 0
        rows = []
        for partition, key, row in self._table.items():
            owner, name = key.split(SEPARATOR, 1)
            rows.append((partition, owner, name, row))
            self._note(partition, owner, name, row)
        return rows

    def get(self, partition: int, owner: str, name: str) -> RowT | None:
        """Read a row; none costs no look into the store, as all names are known."""
        if not self._has(partition, owner, name):
            return None
        return self._table.get(partition, owner + SEPARATOR + name)

    def names(
        self, partition: int, owner: str, prefix: str = "", *, after: str = "", most: int = 2**31
    ) -> list[str]:
        """Give the names of an owner's rows of a kind, in order: those behind one, at most so many."""
        names = self._names.get((partition, owner), [])
        first = max(bisect_left(names, prefix), bisect_right(names, after))
        return names[first : min(self._end(names, prefix), first + most)]

    def first(self, partition: int, owner: str, prefix: str = "") -> str | None:
        """Give the name of an owner's first row of a kind."""
        names = self._names.get((partition, owner), [])
        at = bisect_left(names, prefix)
        return names[at] if at < len(names) and names[at].startswith(prefix) else None

    def count(self, partition: int, owner: str, prefix: str = "") -> int:
        """Count an owner's rows of a kind; a prefix is one character, or none for all."""
        names = self._names.get((partition, owner), [])
        return self._end(names, prefix) - bisect_left(names, prefix)

    def place(self, partition: int, owner: str, name: str) -> int:
        """Give a row's place, from 1 on, among its owner's of the same kind (its first letter)."""
        names = self._names.get((partition, owner), [])
        return bisect_left(names, name) - bisect_left(names, name[:1]) + 1

    def put(self, partition: int, owner: str, name: str, row: RowT) -> Write:
        """Write a row; its time counts from now on."""
        self._note(partition, owner, name, row)
        return self._table.put(partition, owner + SEPARATOR + name, row)

    def drop(self, partition: int, owner: str, name: str) -> Write | None:
        """Delete a row, if it is there."""
        if not self._has(partition, owner, name):
            return None
        names = self._names[partition, owner]
        del names[bisect_left(names, name)]
        self.size -= 1
        if not names:
            del self._names[partition, owner]
        return self._table.delete(partition, owner + SEPARATOR + name)

    def due(self, now_ms: int, most: int = 100) -> Iterator[Due]:
        """Take what is due, at most so many; whether a row changed is told by its version."""
        while self._heap and self._heap[0].due_ms <= now_ms and most > 0:
            item = heapq.heappop(self._heap)
            if self._has(item.partition, item.owner, item.name):
                most -= 1
                yield item

    def owners(self) -> list[tuple[int, str]]:
        """Give all (partition, owner) that have open work."""
        return list(self._names)

    @staticmethod
    def _end(names: list[str], prefix: str) -> int:
        return bisect_left(names, prefix[:-1] + chr(ord(prefix[-1]) + 1)) if prefix else len(names)

    def _has(self, partition: int, owner: str, name: str) -> bool:
        names = self._names.get((partition, owner), [])
        at = bisect_left(names, name)
        return at < len(names) and names[at] == name

    def _note(self, partition: int, owner: str, name: str, row: RowT) -> None:
        names = self._names.setdefault((partition, owner), [])
        at = bisect_left(names, name)
        if at >= len(names) or names[at] != name:
            insort(names, name)
            self.size += 1
        if row.due_ms is not None:
            heapq.heappush(self._heap, Due(row.due_ms, partition, owner, name, row.version))
