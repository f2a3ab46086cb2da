"""Processor time of one thing done many times, some at once; round after round, parts in turn."""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

AT_ONCE: Final = 50
WARM_UP: Final = 500
"""Done before the first round and not counted: connections, imports, caches."""
EMPTY: Final = "a call of nothing, in a task of its own"

Group = Callable[[Sequence[int]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Part:
    """A thing that is measured; `group` does it once for each number, all at once.

    With `tasks` each is a call in a task of its own, whose cost (EMPTY) is taken off: a message of
    the worker has one task, whatever it does in there.
    """

    name: str
    group: Group
    tasks: bool = False


def calls(name: str, one: Callable[[int], Awaitable[object]]) -> Part:
    """Make a part whose things are calls that are under way side by side."""

    async def group(numbers: Sequence[int]) -> None:
        await asyncio.gather(*map(one, numbers))

    return Part(name, group, tasks=True)


async def measure(parts: Sequence[Part], times: int, rounds: int) -> list[dict[str, Any]]:
    """Measure all parts in turn, `rounds` times; each does its thing `times` times in a round.

    Gives a row for each part, in µs. What a part raises is raised: a figure of things that failed
    would say nothing.
    """
    every = [calls(EMPTY, _nothing), *parts]
    first = 0
    with _quiet():
        for part in every:
            await _round(part, range(first, first := first + min(times, WARM_UP)))
    # As faust_app.py: what was made until here is not looked through again and again.
    gc.collect()
    gc.freeze()
    usual = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    found: dict[str, list[float]] = {part.name: [] for part in every}
    try:
        for _ in range(rounds):
            for part in every:
                gc.collect()  # what the part before left is not this one's
                us = await _round(part, range(first, first := first + times))
                if part.tasks and part.name != EMPTY:
                    us -= found[EMPTY][-1]
                found[part.name].append(us)
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
    return [row(part.name, found[part.name], times, AT_ONCE) for part in every]


def row(name: str, us: list[float], times: int, at_once: int | None) -> dict[str, Any]:
    """Give a part's figures: median, least and most of its rounds, µs of processor time each."""
    return {
        "part": name,
        "us": round(median(us), 1),
        "least_us": round(min(us), 1),
        "most_us": round(max(us), 1),
        "rounds_us": [round(one, 1) for one in us],
        "times": times,
        "at_once": at_once,
    }


async def _round(part: Part, numbers: range) -> float:
    # Of the whole process: threads of a library (the local store's) belong to what is measured.
    began = time.process_time()
    for start in range(0, len(numbers), AT_ONCE):
        await part.group(numbers[start : start + AT_ONCE])
    return (time.process_time() - began) * 1e6 / len(numbers)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let aiokafka say nothing of partitions that have no leader yet: their topics are new."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


async def _nothing(_number: int) -> None:
    await asyncio.sleep(0)
