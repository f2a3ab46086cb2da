"""Reads the forwarded statuses: PROGRESS events on `scan-events`."""

import asyncio
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from bench.grow_size import Space
from models import wire
from models.events import EventKind, ScanEvent

_LOOK_S: Final = 0.02


class Progress:
    """What a reader of events gets from now on, and when (monotonic clock)."""

    def __init__(self, bootstrap: str, space: Space, check: Callable[[], None]) -> None:
        self._events = space.topics[wire.SCAN_EVENTS]
        self._letters = space.topics[wire.DEAD_LETTERS]
        self._partitions = space.partitions
        self._check = check
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
        self._raw: list[tuple[bytes, float]] = []
        self._parsed = 0
        self._percents: defaultdict[str, list[int]] = defaultdict(list)
        self._moments: defaultdict[str, list[float]] = defaultdict(list)
        self.kinds: Counter[str] = Counter()
        self.dead = 0
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign([
            TopicPartition(topic, n)
            for topic in (self._events, self._letters)
            for n in range(self._partitions)
        ])  # fmt: skip
        await self._consumer.seek_to_end()
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError, KafkaError):
                await self._reader
        with suppress(KafkaError, asyncio.CancelledError):  # as in sandbox/demo/bus.py
            await self._consumer.stop()

    async def _read(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=200)
            now = time.monotonic()
            for place, messages in batches.items():
                if place.topic == self._letters:
                    self.dead += len(messages)
                else:
                    self._raw += [(message.value, now) for message in messages]

    def parse(self) -> None:
        """Read the events that came since; costs processor time, so not while one measures."""
        for value, moment in self._raw[self._parsed :]:
            event = ScanEvent.from_bytes(value)
            self.kinds[event.event] += 1
            if event.event is EventKind.PROGRESS and event.percent is not None:
                record = str(event.record_id)
                known = self._percents[record]
                if not known or event.percent > known[-1]:  # a record's percents only grow here
                    known.append(event.percent)
                    self._moments[record].append(moment)
        self._parsed = len(self._raw)

    @property
    def seen(self) -> int:
        """How many events came."""
        return len(self._raw)

    @property
    def last(self) -> float:
        """When the newest came; 0 before the first."""
        return self._raw[-1][1] if self._raw else 0.0

    def told(self, record: str, percent: int) -> float | None:
        """Give when a reader knew that a scan is so far: the same percent was forwarded, or a higher.

        So a status that was left out for a newer one counts as told by that.
        """
        at = bisect_left(self._percents.get(record, []), percent)
        moments = self._moments.get(record, [])
        return moments[at] if at < len(moments) else None

    async def until(self, true: Callable[[], bool], limit_s: float) -> bool:
        """Wait until something is true; False if that takes too long. Raises if a part has ended."""
        deadline = time.monotonic() + limit_s
        while not true():
            if time.monotonic() > deadline:
                return False
            self._check()
            if self._reader is not None and self._reader.done():
                await self._reader
            await asyncio.sleep(_LOOK_S)
        return True
