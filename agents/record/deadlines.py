"""A scan's deadline: one durable row for each, looked at when it is due (promise 6).

It is not written anew for each status: the scan's own row says when something last came, and a
deadline that comes due too early is only set anew. It never ends a scan.
"""

from typing import Final

from agents.record import silence
from agents.record.book import DEADLINE, Book
from agents.record.state import ScanRow, WorkItem, WorkKind

AGAIN_MS: Final = 1_000
"""So soon it is looked again whether all that was sent meanwhile has been read."""


class Deadlines:
    """Looks at deadlines that are due."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def due(self, partition: int, record: str, item: WorkItem) -> None:
        """Announce that a scan is overdue, once until something comes of it; else look again later."""
        book, tools = self._book, self._book.tools
        row, now = book.scans.get(partition, record), tools.clock.broker_ms()
        limit = None if row is None else silence.limit_s(row, tools.settings)
        if row is None or limit is None:
            # At its end, or in its device's queue again: the next START sets it anew.
            await book.finish(partition, record, DEADLINE)
            return
        limit_ms = int(limit * 1000)
        passed_ms = row.seen_ms + limit_ms
        if now < passed_ms:
            self._set(partition, record, item, passed_ms)
        elif row.overdue or self._is_stored(partition, record):
            self._set(partition, record, item, now + limit_ms)
        elif not await tools.caught_up(partition, passed_ms):
            self._set(partition, record, item, now + AGAIN_MS)
        else:
            await self._announce(partition, row, limit)
            self._set(partition, record, item, now + limit_ms)

    async def _announce(self, partition: int, row: ScanRow, limit: float) -> None:
        late, told = silence.overdue(row, limit)
        await self._book.announce(late, [told])
        await self._book.write(partition, late, durable=True)

    def _set(self, partition: int, record: str, item: WorkItem, due_ms: int) -> None:
        """Set the deadline anew. Not awaited: were it lost, the old one would come due again."""
        later = {"due_ms": due_ms, "version": item.version + 1}
        self._book.work.put(partition, record, DEADLINE, item.model_copy(update=later))

    def _is_stored(self, partition: int, record: str) -> bool:
        """Tell whether files of a scan are being copied: that has its own retries and outcome."""
        work = self._book.work
        items = [work.get(partition, record, name) for name in work.names(partition, record)]
        kinds = (WorkKind.COPY, WorkKind.REGISTER)
        return any(one is not None and one.kind in kinds and not one.watch for one in items)
