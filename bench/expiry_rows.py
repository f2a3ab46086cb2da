"""Which rows the changelogs hold, as an outsider reads them: the old ones, the young ones, the rest."""

import asyncio
import time
from collections import Counter, defaultdict
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from bench.rows import FIRST_RECORD
from streams.openwork import SEPARATOR

GROWING: Final = ("requests", "scans", "result-files", "result-index")
"""Tables that grow with each job."""
_FILLED: Final = "filled-"


def record_of(table: str, key: str) -> int | None:
    """Give the number of the filled record that a row belongs to; None: of a job of this run."""
    if table == "requests":
        request = key.partition(SEPARATOR)[2]
        return int(request.removeprefix(_FILLED)) if request.startswith(_FILLED) else None
    number = int(key.partition(SEPARATOR)[0]) - FIRST_RECORD
    return number if number >= 0 else None


class Tally:
    """Keeps which keys are live. Of a key only its hash is kept: a million take about 100 MB."""

    def __init__(self, old: int) -> None:
        self._old = old
        self._live: defaultdict[tuple[str, str], set[int]] = defaultdict(set)

    def note(self, table: str, key: bytes, value: bytes | None) -> str:
        """Take a record of a changelog; gives the kind of a row that is gone by it, or nothing."""
        number = record_of(table, key.decode())
        kind = "other" if number is None else "old" if number < self._old else "young"
        live, name = self._live[table, kind], hash(key)
        if value is not None:
            live.add(name)
            return ""
        was_there = name in live
        live.discard(name)
        return kind if was_there else ""

    def count(self, kind: str) -> dict[str, int]:
        """Count the live rows of a kind (`old`, `young`, `other`), by table."""
        return {table: len(self._live[table, kind]) for table in GROWING}

    def left(self) -> int:
        """Count all old rows that are still there."""
        return sum(self.count("old").values())


class LiveRows:
    """Reads the changelogs from their beginning; `tally` says what they hold."""

    def __init__(self, bootstrap: str, app_id: str, partitions: int, old: int) -> None:
        self._tables = {f"{app_id}-{table}-changelog": table for table in GROWING}
        self._places = [TopicPartition(t, p) for t in self._tables for p in range(partitions)]
        self._reader: asyncio.Task[None] | None = None
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 * 1024 * 1024,
        )
        self.tally = Tally(old)
        self.first_gone: float | None = None
        """When the first tombstone of an old row was read."""
        self.last_gone: float | None = None

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(self._places)
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
        with suppress(asyncio.CancelledError, KafkaError):  # as in bench/watch.py
            await self._consumer.stop()

    async def caught_up(self) -> None:
        """Wait until all is read that lies in the changelogs now. Raises what the reader met."""
        ends = await self._consumer.end_offsets(self._places)
        while any([await self._consumer.position(place) < end for place, end in ends.items()]):
            if self._reader is not None and self._reader.done():
                await self._reader
            await asyncio.sleep(0.05)

    async def _read(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=200)
            now, gone = time.monotonic(), Counter[str]()
            for place, messages in batches.items():
                for message in messages:
                    kind = self.tally.note(self._tables[place.topic], message.key, message.value)
                    gone[kind] += 1
            if gone["old"]:
                self.first_gone = self.first_gone or now
                self.last_gone = now
