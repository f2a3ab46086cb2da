"""What processing services report: taken by their workflow, which may have to be asked for first."""

from typing import Final

from agents.device.decide import MOST_FAULTS
from agents.record.state import keep
from agents.workflow import evidence
from agents.workflow.book import ROUTE, Book
from agents.workflow.state import WorkItem, WorkKind
from models.base import RecordId, canonical
from models.errors import PermanentError, PoisonError, TransientError
from models.wire import Cause
from models.workflow import TaskCompletion
from streams.inbound import Inbound
from streams.intake import is_in_place, reroute
from streams.openwork import back_off_ms

MOST_ROUTES: Final = 10_000
"""Completions that may wait to learn their workflow; what comes then is a dead letter."""


class Completions:
    """Takes completions."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._health = book.health

    async def complete(self, inbound: Inbound) -> None:
        """Take a completion, in the form of 2024-08 or 2024-12.

        Raises PoisonError for what is none, and for one of a task that is not run here.
        """
        message = inbound.decode(TaskCompletion)
        if message.workflow_id is None:
            owner = self._keyed(inbound, message.task_id)
            if owner is None:
                await self._route(inbound, message.task_id, None)
                return
        else:
            owner = canonical(message.workflow_id)
            if not await self._book.in_place(inbound, owner):
                return
        partition, when = inbound.partition, self._book.moment(inbound)
        row = await self._book.current(partition, owner)
        task = row.task(message.task_id) if row is not None else None
        if row is None or task is None:
            raise PoisonError("no such task of a workflow is run here", Cause.INVALID)
        retries = self._book.tools.settings.task_retries
        changed, said = evidence.reported(row, task, message, when, retries=retries)
        if changed is not row:
            await self._book.settle(partition, changed)
        elif said is not None:
            await self._book.answer(row, when.mark, said)

    def _keyed(self, inbound: Inbound, task_id: RecordId) -> str | None:
        """Give the workflow if the key names it: it was moved here, or its sender knows it."""
        try:
            owner = canonical((inbound.key or b"").decode())
        except ValueError:
            return None
        row = self._book.workflows.get(inbound.partition, owner)
        known = row is not None and row.task(task_id) is not None
        if known and is_in_place(inbound, owner, self._book.tools.partitions):
            return owner
        if inbound.rerouted:
            raise PoisonError("no such task of a workflow is run here", Cause.INVALID)
        return None

    async def route_again(self, partition: int, owner: str, name: str, item: WorkItem) -> None:
        """Ask once more for the workflow of a completion."""
        if item.original is not None:
            inbound = item.original.inbound()
            try:
                await self._route(inbound, owner, item)
            except PoisonError as error:
                await self._book.tools.dead_letters.bury(inbound, error, stage="route")
            else:
                left = self._book.work.get(partition, owner, name)
                if left is not None and left.version != item.version:
                    return  # it waits again
        await self._book.finish(partition, owner, name)

    async def _route(self, inbound: Inbound, task_id: RecordId, item: WorkItem | None) -> None:
        """Ask the exam manager whose task it is, and move the completion to its workflow."""
        book, exams = self._book, self._book.tools.managers.exams
        try:
            given = await self._health.ask(exams, canonical(task_id), exams.get_task(task_id))
        except TransientError as error:
            await self._wait(inbound, task_id, item, error)
            return
        except PermanentError as error:
            raise PoisonError(str(error), Cause.INVALID) from None
        if given.task.workflow_id is None:
            raise PoisonError("its task belongs to no workflow", Cause.INVALID)
        owner = canonical(given.task.workflow_id)
        await reroute(inbound, owner, book.tools.partitions, book.tools.outbox)

    async def _wait(
        self, inbound: Inbound, task_id: RecordId, item: WorkItem | None, error: TransientError
    ) -> None:
        book, owner = self._book, canonical(task_id)
        before = item or WorkItem(kind=WorkKind.ROUTE, original=keep(inbound), version=-1)
        faults = before.faults + error.at_fault
        if faults >= MOST_FAULTS:
            raise PoisonError(f"{error}; {faults} times for this alone", Cause.INVALID)
        if item is None and book.work.size >= MOST_ROUTES:
            raise PoisonError("its workflow can't be asked for, and many wait", Cause.INVALID)
        settings = book.tools.settings
        wait_ms = back_off_ms(before.tries, settings.retry_first_s, settings.retry_most_s)
        update = {
            "tries": before.tries + 1,
            "faults": faults,
            "version": before.version + 1,
            "due_ms": book.tools.clock.broker_ms() + wait_ms,
        }
        waiting = before.model_copy(update=update)
        name = ROUTE + inbound.mark
        await book.work.put(inbound.partition, owner, name, waiting).durable()
