"""Workflows that ended are forgotten after some days: SCANHUB_REMEMBER_REQUESTS_DAYS, as requests."""

from typing import Final

from agents.workflow.book import Book
from agents.workflow.state import WorkflowRow
from models.workflow import RunState, TaskState
from streams.clock import DAY_MS

ENDS: Final = (RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED, RunState.REFUSED)


def is_old(row: WorkflowRow, now_ms: int, days: float) -> bool:
    """Tell whether a workflow ended, and last changed more than so many days ago.

    By the broker's clock: `at_ms` is the workers' wall time. One whose scan or service is still at
    work (it was cancelled, or another task failed) waits for its word, and a row that has acts, or
    does not say when it changed, stays.
    """
    at_work = any(task.state is TaskState.IN_PROGRESS for task in row.tasks)
    over = row.state in ENDS and not row.acts and not at_work
    return bool(over and row.changed_ms and now_ms - row.changed_ms > days * DAY_MS)


async def forget(book: Book, partition: int, owner: str) -> None:
    """Delete a workflow that is old and has no open work; durable on return."""
    tools = book.tools
    row = book.workflows.get(partition, owner)
    if row is not None:
        days = tools.settings.remember_requests_days
        if not is_old(row, tools.clock.broker_ms(), days) or book.work.names(partition, owner):
            return
    await book.workflows.delete(partition, owner).durable()
    tools.metrics.expired.labels("workflows").inc(row is not None)
