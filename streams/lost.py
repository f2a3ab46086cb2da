"""Messages that were fetched and got lost inside of Faust: when to read them again.

Faust drops messages between its fetcher and its streams around a rebalance or a restart, and then takes
those that come again for repeats, so that a topic-partition stands still (1 of 20 restarts of a static
member on a loaded machine). Nothing behind a lost message is handled before it (streams/window.py), so
reading again from the first that is not settled loses nothing and keeps the order. No I/O, no clock.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

PATIENCE_S: Final = 2.0
"""How long a message may be on its way. One that is there after all comes twice, which is harmless."""
WHOLE: Final = 2
"""The fetch that held it and the one after it must have been given out."""
MOST: Final = 5
"""So often is the same message read again before the worker ends."""


class Advice(Enum):
    """What to do about a topic-partition."""

    NOTHING = auto()
    READ_AGAIN = auto()
    STOP = auto()


@dataclass(slots=True)
class _Stuck:
    base: int
    since: float
    rounds: int
    tries: int = 0


class Lost:
    """Remembers which topic-partitions (places) stand still, and since when."""

    def __init__(self) -> None:
        self._stuck: dict[Hashable, _Stuck] = {}

    def clear(self) -> None:
        """Forget all: the assignment changes."""
        self._stuck.clear()

    def look(self, place: Hashable, base: int, *, stands: bool, rounds: int, now: float) -> Advice:
        """Look at a place whose first unsettled offset is `base`; `now` is monotonic, seconds.

        It `stands` if that offset was fetched and is neither done nor in anybody's hands. `rounds`
        counts the fetches that were given out whole: under load one takes long, and what it still
        holds is not lost.
        """
        stuck = self._stuck.get(place)
        if stuck is None or stuck.base != base:
            # Kept while it does not stand: right after it is read again it is merely not fetched yet.
            stuck = self._stuck[place] = _Stuck(base, now, rounds)
        if not stands:
            stuck.since, stuck.rounds = now, rounds
            return Advice.NOTHING
        whole = rounds - stuck.rounds >= WHOLE
        if not whole or now - stuck.since < PATIENCE_S * 2**stuck.tries:
            return Advice.NOTHING
        stuck.since, stuck.rounds = now, rounds
        stuck.tries += 1
        return Advice.STOP if stuck.tries > MOST else Advice.READ_AGAIN
