"""Durable tables: Faust tables on rocksdict whose writes can be awaited.

A plain `table[key] = value` only queues the changelog record, and a refused one is a log line while
the input is committed all the same (faust-streaming 0.15.3). Here each write goes to the local store
and straight to the producer; `Write.durable()` waits for the broker, and a write that fails stops
the worker. Reads and writes name their partition, so that they work wherever they are made.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

from aiokafka.errors import KafkaError
from faust.types import TP

from models.base import Message
from models.errors import FatalError
from streams.eager import Rest, begin
from streams.outbox import Outbox, refusal

RowT = TypeVar("RowT", bound=Message)

KEPT_BYTES: Final = 16 * 1024
"""Larger rows are not kept: that of an early message has up to a megabyte."""
KEPT: Final = 1024
"""Rows of a table kept as objects: reading one from its bytes costs as much as deciding on it."""


class Write:
    """A write on its way to the changelog."""

    __slots__ = ("_sent",)

    def __init__(self, sent: "asyncio.Future[Any]") -> None:
        self._sent = sent

    async def durable(self) -> int:
        """Wait until the broker has it; gives the broker's time of the write in ms.

        Raises FatalError where it is not known whether the broker has it.
        """
        try:
            metadata = await self._sent
        except (KafkaError, TimeoutError) as error:
            raise refusal(error) from None
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
        self._slow: dict[int, asyncio.Task[asyncio.Future[Any]]] = {}
        self._open: set[asyncio.Future[Any]] = set()
        self._persisted: dict[int, int] = {}
        self._recent: OrderedDict[tuple[int, str], RowT | None] = OrderedDict()
        self.name: str = table.name

    def get(self, partition: int, key: str) -> RowT | None:
        """Read a row; of those read or written last there is the row itself, as rows never change."""
        place = partition, key
        if place in self._recent:
            return self._recent[place]
        raw = self._db(partition).get(key.encode())
        row = None if raw is None else self._model.from_bytes(raw)
        self._keep(place, row, raw)
        return row

    def _keep(self, place: tuple[int, str], row: RowT | None, raw: bytes | None) -> None:
        if raw is not None and len(raw) > KEPT_BYTES:
            self._recent.pop(place, None)
            return
        self._recent[place] = row
        self._recent.move_to_end(place)
        if len(self._recent) > KEPT:
            self._recent.popitem(last=False)

    def forget_kept(self) -> None:
        """Read all from the local store again: what Faust wrote there itself, in a recovery, counts."""
        self._recent.clear()

    def put(self, partition: int, key: str, row: RowT) -> Write:
        """Write a row: readable here at once, at the broker when `durable()` returns."""
        raw = row.to_bytes()
        write = self._write(partition, key.encode(), raw)
        self._keep((partition, key), row, raw)
        return write

    def delete(self, partition: int, key: str) -> Write:
        """Delete a row (a tombstone in the changelog)."""
        write = self._write(partition, key.encode(), None)
        self._keep((partition, key), None, None)
        return write

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
        self.note_persisted()
        return not pending

    def note_persisted(self) -> None:
        """Note in the local store how far it is, so that a recovery reads on from there.

        Called each second and before partitions go: an older note only makes the next recovery read
        a little more, and a note for each write took a tenth of it.
        """
        topic = self._table.changelog_topic_name
        for partition, offset in self._persisted.items():
            self._table.data.set_persisted_offset(TP(topic, partition), offset)
        self._persisted.clear()

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
        sent = self._send(partition, key, value)
        self._open.add(sent)
        sent.add_done_callback(partial(self._seen, partition))
        return Write(sent)

    def _send(self, partition: int, key: bytes, value: bytes | None) -> "asyncio.Future[Any]":
        """Send a changelog record; gives the future of its acknowledgement.

        In the order of the writes, also where the producer's buffer is full: of two writes of one key
        the later must be the last in the changelog.
        """
        before = self._slow.get(partition)
        raw = self._outbox.raw(self._table.changelog_topic_name, key, value, partition=partition)
        putting: Awaitable[asyncio.Future[Any]] = raw
        if before is None:
            try:
                future, rest = begin(raw)
            except Exception as error:  # noqa: BLE001 - given to `_seen`, which ends the worker
                refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                refused.set_exception(error)
                return refused
            if future is not None:
                return future
            putting = cast("Rest[asyncio.Future[Any]]", rest)
        slow = asyncio.create_task(_in_turn(before, putting))
        self._slow[partition] = slow
        slow.add_done_callback(lambda _: self._no_longer_slow(partition, slow))
        return asyncio.create_task(_whole(slow))

    def _no_longer_slow(self, partition: int, slow: "asyncio.Task[Any]") -> None:
        if self._slow.get(partition) is slow:
            del self._slow[partition]

    def _seen(self, partition: int, sent: "asyncio.Future[Any]") -> None:
        self._open.discard(sent)
        if sent.cancelled():
            return
        if (error := sent.exception()) is not None:
            why = refusal(error)
            self._fatal(FatalError(f"a write of table {self.name} failed: {why}"))
            return
        metadata = sent.result()
        self._persisted[partition] = metadata.offset
        self._outbox.observe(metadata)


async def _in_turn(
    before: "asyncio.Task[Any] | None", putting: "Awaitable[asyncio.Future[Any]]"
) -> "asyncio.Future[Any]":
    if before is not None:
        await asyncio.wait([before])
    return await putting


async def _whole(slow: "asyncio.Task[asyncio.Future[Any]]") -> Any:
    return await (await slow)
