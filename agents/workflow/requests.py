"""What people and programs ask of a workflow: start, state, resume, cancel."""

from http import HTTPStatus
from typing import Final, NamedTuple

from agents.device.decide import MOST_FAULTS
from agents.workflow import decide
from agents.workflow.asking import Asking
from agents.workflow.book import READ, Book
from agents.workflow.decide import Moment
from agents.workflow.state import WorkflowRow, WorkItem, WorkKind
from agents.workflow.writing import unknown
from models.base import RecordId, canonical
from models.errors import PermanentError, TransientError
from models.workflow import RunState, WorkflowRequest, WorkflowRequestKind, WorkflowStatus
from streams.inbound import Inbound
from streams.openwork import back_off_ms

K = WorkflowRequestKind
R = RunState

RESUMES: Final = "it is not started anew: resume_workflow goes on from there"
NOT_RUN: Final = "no such workflow was started here"


class Asked(NamedTuple):
    """A request to start or resume, as it came."""

    resume: bool
    when: Moment
    tries: int = 0
    faults: int = 0


class Requests:
    """Answers requests; each at least once, and what it changes is done once."""

    def __init__(self, book: Book, asking: Asking) -> None:
        self._book = book
        self._asking = asking

    async def process(self, inbound: Inbound) -> None:
        """Take a request. Raises PoisonError for what is none."""
        request = inbound.decode(WorkflowRequest)
        if not await self._book.in_place(inbound, request.workflow_id):
            return
        partition, when = inbound.partition, self._book.moment(inbound)
        row = await self._book.current(partition, request.workflow_id)
        if row is not None and when.mark in row.taken:
            await self._book.answer(row, when.mark)
        elif request.type in (K.START, K.RESUME) and self._begins(partition, row, request.type):
            asked = Asked(request.type is K.RESUME, when)
            await self._begin(partition, request.workflow_id, row, asked)
        elif row is None:
            wall = self._book.tools.clock.wall()
            await self._book.respond(unknown(request.workflow_id, wall, NOT_RUN), when.mark)
        elif request.type is K.CANCEL:
            await self._cancel(partition, row, when)
        else:
            ended = row.state in (R.FAILED, R.CANCELLED) and request.type is K.START
            await self._book.answer(row, when.mark, *([RESUMES] if ended else []))

    def _begins(self, partition: int, row: WorkflowRow | None, kind: WorkflowRequestKind) -> bool:
        """Tell whether a request starts something: never what runs, or has done all."""
        if row is None or row.state is R.REFUSED:
            return True
        if row.state is R.WAITING:
            return self._book.work.get(partition, canonical(row.id), READ) is None
        return kind is K.RESUME and row.state in (R.FAILED, R.CANCELLED)

    async def read_again(self, partition: int, owner: str, item: WorkItem) -> None:
        """Try again to start what waits for a manager."""
        row = await self._book.current(partition, owner)
        when = Moment(f"{READ}/{item.mark}", item.born_ms, self._book.now_ms())
        goes_on = row is not None and (
            row.state is R.WAITING or (item.resume and row.state in (R.FAILED, R.CANCELLED))
        )
        if row is None or not goes_on or when.mark in row.taken:
            await self._book.finish(partition, owner, READ)
            return
        asked = Asked(item.resume, when, item.tries, item.faults)
        await self._begin(partition, row.id, row, asked)

    async def _begin(
        self, partition: int, workflow_id: RecordId, row: WorkflowRow | None, asked: Asked
    ) -> None:
        when = asked.when
        try:
            plan = await self._asking.plan(workflow_id, row, resume=asked.resume)
        except TransientError as error:
            await self._wait(partition, workflow_id, row, asked, error)
            return
        except PermanentError as error:
            # Without a status it was not asked at all: no id of a workflow.
            gone = error.status in (None, HTTPStatus.NOT_FOUND)
            if gone and row is None:
                # No row: anybody could fill the table with ids that nobody knows.
                wall = self._book.tools.clock.wall()
                await self._book.respond(unknown(workflow_id, wall, str(error)), when.mark)
                return
            told = WorkflowStatus.UNKNOWN if gone else None
            changed = decide.refused(row, workflow_id, [str(error)], when, told=told)
        else:
            if plan.reasons:
                changed = decide.refused(row, workflow_id, plan.reasons, when, told=plan.told)
            else:
                changed = decide.starts(row, workflow_id, plan.tasks, when)
        await self._book.settle(partition, changed)
        await self._book.finish(partition, canonical(workflow_id), READ)

    async def _wait(
        self,
        partition: int,
        workflow_id: RecordId,
        row: WorkflowRow | None,
        asked: Asked,
        error: TransientError,
    ) -> None:
        """Keep the request, durably; a manager's outage counts no faults, and refuses nothing."""
        book, owner = self._book, canonical(workflow_id)
        faults = asked.faults + error.at_fault
        if faults >= MOST_FAULTS:
            why = f"{error}; {faults} times for this workflow alone, while the manager was well"
            await book.settle(partition, decide.refused(row, workflow_id, [why], asked.when))
            await book.finish(partition, owner, READ)
            return
        settings = book.tools.settings
        wait_ms = back_off_ms(asked.tries, settings.retry_first_s, settings.retry_most_s)
        before = book.work.get(partition, owner, READ)
        item = WorkItem(
            kind=WorkKind.READ,
            resume=asked.resume,
            mark=asked.when.mark.removeprefix(f"{READ}/"),
            born_ms=asked.when.born_ms,
            tries=asked.tries + 1,
            faults=faults,
            due_ms=book.tools.clock.broker_ms() + wait_ms,
            version=before.version + 1 if before is not None else 0,
        )
        await book.work.put(partition, owner, READ, item).durable()
        if asked.tries == 0:
            await book.settle(partition, decide.waits(row, workflow_id, str(error), asked.when))

    async def _cancel(self, partition: int, row: WorkflowRow, when: Moment) -> None:
        changed = decide.cancels(row, when)
        if changed is row:
            await self._book.answer(row, when.mark)
        else:
            await self._book.settle(partition, changed)
        await self._book.finish(partition, canonical(row.id), READ)
