"""Sees what the processor does, as an outsider: device tasks, events, dead letters, STARTs.

While it measures it only notes bytes and times; they are read afterwards, as reading them takes
processor time from what is measured.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import TypeAdapter

from bench.load import Load
from bench.stub import STARTS
from models import wire
from models.events import EventKind, ScanEvent, ScanState

_READ: Final = (wire.DEVICE_TASKS, wire.SCAN_EVENTS, wire.DEAD_LETTERS)
ENDS: Final = frozenset({
    ScanState.STARTED, ScanState.FAILED, ScanState.HELD, ScanState.UNKNOWN, ScanState.CANCELLED,
})  # fmt: skip
"""No device reports here, so a job's way ends where its scanner has answered."""
_SILENCE_S: Final = 10.0
_STARTS: Final = TypeAdapter(list[tuple[str, float]])


class Watch:
    """What was seen; times are of the monotonic clock, which all processes share."""

    def __init__(self, bootstrap: str, stub: str, load: Load, check: Callable[[], None]) -> None:
        self.tasks: dict[str, float] = {}
        self.starts: dict[str, float] = {}
        self.repeated_starts = 0
        self._events: list[bytes] = []
        self._dead: set[str] = set()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 * 1024 * 1024,
        )
        self._stub = f"http://{stub}{STARTS}"
        self._load = load
        self._check = check
        self._known_starts = 0
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            self._http = aiohttp.ClientSession()
            await self._consumer.start()
            await self._assign()
        except BaseException:
            await self._stop()
            raise
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
        await self._stop()

    async def _stop(self) -> None:
        with suppress(KafkaError, asyncio.CancelledError):  # as in sandbox/demo/bus.py
            await self._consumer.stop()
        await self._http.close()

    async def _assign(self) -> None:
        self._consumer.assign([
            TopicPartition(self._load.prefix + topic, partition)
            for topic in _READ
            for partition in await self._load.partitions(topic)
        ])  # fmt: skip

    async def _read(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=200)
            now = time.monotonic()
            for place, messages in batches.items():
                for message in messages:
                    self._note(place.topic.removeprefix(self._load.prefix), message, now)

    def _note(self, topic: str, message: Any, now: float) -> None:
        if topic == wire.SCAN_EVENTS:
            self._events.append(message.value)
            return
        name = dict(message.headers).get(wire.REQUEST_ID, b"").decode()
        if topic == wire.DEVICE_TASKS:
            self.tasks.setdefault(name, now)
        else:
            self._dead.add(name)

    async def look_for_starts(self) -> None:
        """Ask the stub for the STARTs that came since."""
        async with self._http.get(self._stub, params={"skip": self._known_starts}) as answer:
            new = _STARTS.validate_json(await answer.read())
        self._known_starts += len(new)
        for name, at in new:
            self.repeated_starts += name in self.starts
            self.starts.setdefault(name, at)

    async def until_started(self, names: set[str], limit_s: float) -> bool:
        """Wait until all tasks were seen and all STARTs came; False if that takes too long."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if names <= self.tasks.keys():
                await self.look_for_starts()
                if names <= self.starts.keys():
                    return True
            await self._alive()
            await asyncio.sleep(0.1)
        return False

    async def until_ended(self, names: set[str], limit_s: float) -> set[str]:
        """Wait until each job was announced to have ended somehow; gives those that were not.

        A slow machine is no loss: it gives up early only when nothing at all has come for a while.
        """
        deadline = time.monotonic() + limit_s
        events, last_news = len(self._events), time.monotonic()
        while lost := names - self._ended():
            now = time.monotonic()
            if len(self._events) > events:
                events, last_news = len(self._events), now
            if now > min(deadline, last_news + _SILENCE_S):
                break
            await self._alive()
            await asyncio.sleep(0.5)
        return lost

    async def _alive(self) -> None:
        """Raise if a part has ended, or the reader has: nothing would come any more."""
        self._check()
        if self._reader is not None and self._reader.done():
            await self._reader

    def _ended(self) -> set[str]:
        ended = set(self._dead)
        for event in map(ScanEvent.from_bytes, self._events):
            if event.event is EventKind.STATE_CHANGED and event.state in ENDS:
                ended.add(event.request_id or "")
        return ended
