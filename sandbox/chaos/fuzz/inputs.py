"""The random messages of a run: a seed gives the same ones each time.

Some are whole and make the processor work, most are spoiled in one place, the rest is rubbish: JSON of
any kind, bytes of any kind, nothing at all. Keys, partitions and headers are as doubtful as values.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count as counting
from multiprocessing import get_context
from typing import Any, Final

from sandbox.chaos.fuzz.strategies import draw
from sandbox.chaos.traffic import MARK

_ROUND: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One message to be sent, and exactly where."""

    number: int
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def mark(self) -> str:
        """The header that tells it from all others."""
        return _mark(self.number)


def make_inputs(
    number: int, count: int, devices: Sequence[str], partitions: int
) -> Iterator[Input]:
    """Give `count` messages, all different, as they are made; `number` is the seed.

    They are drawn in a process of their own: hypothesis takes over this process' `random` while it
    draws, and whoever else draws from that would spoil what the seed gives.
    """
    seen: set[tuple[Any, ...]] = set()
    # In rounds: hypothesis can't be told to stop once there are enough, and the sender may begin.
    size = min(_ROUND, count)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for again in counting():
            name = f"{number}/fuzz/{again}"
            for drawn in pool.submit(draw, name, size, list(devices), partitions).result():
                one, place = tuple(drawn.values()), len(seen)
                if one not in seen:
                    seen.add(one)
                    headers = ((MARK, _mark(place).encode()), *drawn.pop("headers"))
                    yield Input(number=place, headers=headers, **drawn)
                    if len(seen) == count:
                        return


def _mark(number: int) -> str:
    return f"fuzz-{number:05d}"
