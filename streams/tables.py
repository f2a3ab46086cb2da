"""Durable tables: Faust tables on rocksdict whose writes can be awaited.

A plain `table[key] = value` only queues the changelog record, and a refused one is a log line while
the input is committed all the same (faust-streaming 0.15.3). Here each write goes to the local store
and straight to the producer; `Write.durable()` waits for the broker, and a write that fails stops
the worker. Reads and writes name their partition, so that they work wherever they are made.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from faust.types import TP

from models.base import Message
from models.errors import FatalError
from streams.outbox import Outbox

RowT = TypeVar("RowT", bound=Message)


class Write:
    """A write on its way to the changelog."""

    def __init__(self, sent: "asyncio.Task[Any]") -> None:
        self._sent = sent

    async def durable(self) -> int:
        """Wait until the broker has it; gives the broker's time of the write in ms."""
        metadata = await self._sent
        return int(metadata.timestamp)


class DurableTable(Generic[RowT]):
    """Rows of one model, by partition and text key."""

    def __init__(
        self,
        table: Any,
        model: type[RowT],
        outbox: Outbox,
        fatal: Callable[[BaseException], None],
    ) -> None:
        self._table = table
        self._model = model
        self._outbox = outbox
        self._fatal = fatal
        self._order: dict[int, asyncio.Lock] = {}
        self._open: set[asyncio.Task[Any]] = set()
        self.name: str = table.name

    def get(self, partition: int, key: str) -> RowT | None:
        """Read a row."""
        raw = self._db(partition).get(key.encode())
        return None if raw is None else self._model.from_bytes(raw)

    def put(self, partition: int, key: str, row: RowT) -> Write:
        """Write a row: readable here at once, at the broker when `durable()` returns."""
        return self._write(partition, key.encode(), row.to_bytes())

    def delete(self, partition: int, key: str) -> Write:
        """Delete a row (a tombstone in the changelog)."""
        return self._write(partition, key.encode(), None)

    def items(self) -> Iterator[tuple[int, str, RowT]]:
        """Walk all rows of the partitions that this worker owns.

        Only for small tables (open work): a million rows block the loop for seconds.
        """
        topic = self._table.changelog_topic_name
        store = self._table.data
        actives = self._table.app.assignor.assigned_actives()
        for partition, db in list(store._dbs.items()):  # noqa: SLF001 - see _db
            if TP(topic, partition) in actives:
                for key, value in db.items():
                    if key != store.offset_key:
                        yield partition, key.decode(), self._model.from_bytes(value)

    def owns(self, partition: int) -> bool:
        """Tell whether a partition's rows are this worker's to read: of another, it would see none."""
        topic = self._table.changelog_topic_name
        return TP(topic, partition) in self._table.app.assignor.assigned_actives()

    async def drain(self, limit_s: float) -> bool:
        """Let the writes under way reach the broker; tell whether all did within the limit.

        Not every write is awaited by who made it, and a commit must pass no message whose rows the
        changelog does not have.
        """
        pending = set(self._open)
        if pending:
            _, pending = await asyncio.wait(pending, timeout=max(0.0, limit_s))
        return not pending

    def _db(self, partition: int) -> Any:
        # Private, and pinned with the version: Faust's own reads take the partition from the event
        # being handled, which background work does not have.
        return self._table.data._db_for_partition(partition)  # noqa: SLF001

    def _write(self, partition: int, key: bytes, value: bytes | None) -> Write:
        db = self._db(partition)
        if value is None:
            db.delete(key)
        else:
            db.put(key, value)
        task = asyncio.create_task(self._send(partition, key, value))
        self._open.add(task)
        task.add_done_callback(self._seen)
        return Write(task)

    async def _send(self, partition: int, key: bytes, value: bytes | None) -> Any:
        topic = self._table.changelog_topic_name
        # In the order of the writes, also where the producer's buffer is full: of two writes of one
        # key the later must be the last in the changelog.
        async with self._order.setdefault(partition, asyncio.Lock()):
            future = await self._outbox.raw(topic, key, value, partition=partition)
        metadata = await self._outbox.confirm(future)
        # So that recovery knows how far the local store is.
        self._table.data.set_persisted_offset(TP(topic, partition), metadata.offset)
        return metadata

    def _seen(self, task: "asyncio.Task[Any]") -> None:
        self._open.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fatal(FatalError(f"a write of table {self.name} failed: {error}"))
