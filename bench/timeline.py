"""When the processor gave something out, and what of each job was announced."""

import asyncio
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

from bench.load import Load
from bench.watch import ENDS, Watch
from models import wire
from models.events import EventKind, ScanEvent, ScanState

GRACE_S: Final = 0.3
"""What a worker sent before it was killed is read within this time; none starts as fast."""


class Timeline(Watch):
    """Watches; events are read once each, so that 50,000 waiting jobs cost it little."""

    def __init__(self, bootstrap: str, stub: str, load: Load, check: Callable[[], None]) -> None:
        super().__init__(bootstrap, stub, load, check)
        self.accepted: set[str] = set()
        self.states: dict[str, ScanState] = {}
        self.task_partitions: dict[str, int] = {}
        self._moments: list[float] = []
        self._tasks_of: defaultdict[int, list[float]] = defaultdict(list)
        self._done: set[str] = set()
        self._parsed = 0

    def _note(self, topic: str, message: Any, now: float) -> None:
        super()._note(topic, message, now)
        self._moments.append(now)
        if topic == wire.DEVICE_TASKS:
            self._tasks_of[message.partition].append(now)
            name = dict(message.headers).get(wire.REQUEST_ID, b"").decode()
            self.task_partitions[name] = message.partition

    def read_events(self) -> None:
        """Read the events that came since."""
        for raw in self._events[self._parsed :]:
            event = ScanEvent.from_bytes(raw)
            if event.event is not EventKind.STATE_CHANGED or event.state is None:
                continue
            name = event.request_id or ""
            if event.state is ScanState.ACCEPTED:
                self.accepted.add(name)
            else:
                self.states[name] = event.state
            if event.state in ENDS:
                self._done.add(name)
        self._parsed = len(self._events)

    def _ended(self) -> set[str]:
        self.read_events()
        return self._done | self._dead

    def first_after(self, moment: float) -> float | None:
        """Give when the first output after a kill at that moment came."""
        return _first(self._moments, moment + GRACE_S)

    def task_after(self, partition: int, moment: float) -> float | None:
        """Give when a partition's first device task after a kill at that moment came."""
        return _first(self._tasks_of[partition], moment + GRACE_S)

    def longest_silence(self, since: float) -> float:
        """Give the longest time without any output, from then to the last one."""
        at = bisect_right(self._moments, since)
        times = [since, *self._moments[at:]]
        return max((b - a for a, b in pairwise(times)), default=0.0)

    async def until(self, true: Callable[[], bool], limit_s: float) -> bool:
        """Wait until something is true; False if that takes too long."""
        deadline = time.monotonic() + limit_s
        while not true():
            if time.monotonic() > deadline:
                return False
            await self._alive()
            await asyncio.sleep(0.05)
        return True


def _first(moments: list[float], after: float) -> float | None:
    at = bisect_right(moments, after)
    return moments[at] if at < len(moments) else None
