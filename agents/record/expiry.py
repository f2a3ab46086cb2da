"""Scans that ended are forgotten after some days: SCANHUB_KEEP_RECORDS_DAYS.

Their rows go, those of their files too; the files themselves stay in the data lake, and the record at
the exam manager. As with requests (agents/device/expiry.py) it is decided here, in the record's order.
"""

from agents.record.book import Book
from agents.record.state import ScanRow
from streams.clock import DAY_MS


def is_old(row: ScanRow, now_ms: int, days: float) -> bool:
    """Tell whether a scan ended more than so many days ago by the broker's clock; 0 days: never.

    `times` do not count: they are the workers' wall time, and one clock that is wrong would delete.
    Of a row that does not say when it ended, the last change before counts; without that, it stays.
    """
    ended_ms = row.ended_ms or row.seen_ms
    return bool(days and ended_ms and row.state.final and now_ms - ended_ms > days * DAY_MS)


async def forget(book: Book, partition: int, record: str, row: ScanRow | None) -> None:
    """Delete a scan that is old, with the rows of its files; durable on return.

    Open work keeps it: files that are being copied, or what the exam manager is still to be told.
    The scan's own row goes last, so that what a crash leaves is found again by it. Where it is gone
    already, its worker may have died between its own store and the changelog: it is deleted again.
    """
    tools = book.tools
    if row is not None:
        days = tools.settings.keep_records_days
        if not is_old(row, tools.clock.broker_ms(), days) or book.work.names(partition, record):
            return
        await book.files.remove(partition, record, row.files)
    await book.scans.delete(partition, record).durable()
    tools.metrics.expired.labels("scans").inc(row is not None)
