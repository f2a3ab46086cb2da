"""The window's bookkeeping: which messages are done, and what may be acknowledged. No I/O.

The rules, each with its reason:

* Only the contiguous finished prefix of a topic-partition is given back for acknowledging.
  Faust skips one un-acknowledged offset at the head of a partition when it commits (faust bug 606),
  so an acknowledged message behind an open one would lose the open one in a crash.
* A message that is left (the worker stops, or the partition goes) is a wall: nothing behind it is
  ever given back. It will be delivered again.
* After a rebalance the ledger starts empty: what comes is delivered anew from the committed offset.

tests/unit/test_streams_ledger.py holds these as properties.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

MessageT = TypeVar("MessageT")


@dataclass(slots=True, eq=False)
class Entry(Generic[MessageT]):
    """One message in flight."""

    place: Hashable
    message: MessageT
    done: bool = False


class Ledger(Generic[MessageT]):
    """Messages in flight for each place (a topic-partition), in the order in which they came."""

    def __init__(self) -> None:
        self._open: dict[Hashable, deque[Entry[MessageT]]] = {}
        self.size = 0

    def begin(self, place: Hashable, message: MessageT) -> Entry[MessageT]:
        """Note a message that arrived."""
        entry = Entry(place, message)
        self._open.setdefault(place, deque()).append(entry)
        self.size += 1
        return entry

    def finish(self, entry: Entry[MessageT]) -> list[MessageT]:
        """Note that a message is done; give what may be acknowledged now, in order.

        An entry from before `clear` gives nothing.
        """
        entry.done = True
        queue = self._open.get(entry.place)
        ready: list[MessageT] = []
        while queue and queue[0].done:
            ready.append(queue.popleft().message)
        self.size -= len(ready)
        if queue is not None and not queue:
            del self._open[entry.place]
        return ready

    def first(self, place: Hashable) -> MessageT | None:
        """Give a place's first message that is not done."""
        queue = self._open.get(place)
        return queue[0].message if queue else None

    def clear(self) -> None:
        """Forget all: the partitions were taken away or come anew."""
        self._open.clear()
        self.size = 0
