"""The workflow aggregate's decisions: plain functions, no I/O, no clock, no Faust.

Each takes a row and gives it changed, with the acts that follow (Book.settle does them), or gives the
very same row: nothing changed, and nothing follows.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from agents.workflow import order
from agents.workflow.check import bounded
from agents.workflow.state import (
    MOST_GROWN,
    MOST_MARKS,
    MOST_NOTES,
    Act,
    ActKind,
    TaskKind,
    TaskRow,
    WorkflowRow,
)
from agents.workflow.writing import sent_to
from models.base import RecordId
from models.managers import TaskStatus
from models.workflow import RunState, TaskState, WorkflowStatus

A = ActKind
R = RunState
T = TaskState

CANCELLED: Final = "cancelled by a person"
WAITS: Final = "it waits: "
GIVEN_UP: Final = "the resume that waited was cancelled"


class Moment(NamedTuple):
    """When, and by which message, something changes."""

    mark: str
    born_ms: int
    """Broker time of the message that led to it."""
    at_ms: int
    """Wall time, for people."""


def starts(
    row: WorkflowRow | None,
    workflow_id: RecordId,
    tasks: tuple[TaskRow, ...],
    when: Moment,
) -> WorkflowRow:
    """Start a workflow, or let one that ended go on, with its tasks as they were planned."""
    before = row or WorkflowRow(id=workflow_id, state=R.RUNNING)
    running = before.model_copy(
        update={"state": R.RUNNING, "tasks": tasks, "reasons": (), "notes": (), "told": None}
    )
    return _changed(before, _go_on(_taken(running, when.mark), when), when)


def waits(row: WorkflowRow | None, workflow_id: RecordId, why: str, when: Moment) -> WorkflowRow:
    """Let a workflow wait for a manager that is away; one that ended stays as it is meanwhile."""
    before = row or WorkflowRow(id=workflow_id, state=R.WAITING)
    state = before.state if before.state in (R.FAILED, R.CANCELLED) else R.WAITING
    update = {"state": state, "reasons": (f"{WAITS}{why}",), "told": None}
    return _changed(before, _taken(before.model_copy(update=update), when.mark), when)


def refused(
    row: WorkflowRow | None,
    workflow_id: RecordId,
    reasons: Iterable[str],
    when: Moment,
    *,
    told: WorkflowStatus | None = None,
) -> WorkflowRow:
    """Refuse to start a workflow; one that ended and can't go on stays as it is, with the reasons."""
    before = row or WorkflowRow(id=workflow_id, state=R.REFUSED)
    state = before.state if before.state in (R.FAILED, R.CANCELLED) else R.REFUSED
    update = {"state": state, "reasons": bounded(list(reasons)), "told": told}
    return _changed(before, before.model_copy(update=update), when)


def cancels(row: WorkflowRow, when: Moment) -> WorkflowRow:
    """Cancel a run: nothing more is dispatched.

    A scan under way is told, and decides itself; a service can't be told, its task is over for us.
    """
    if (
        row.state in (R.FAILED, R.CANCELLED)
        and row.reasons[:1]
        and row.reasons[0].startswith(WAITS)
    ):
        given_up = {"reasons": (GIVEN_UP,)}
        return _changed(row, _taken(row.model_copy(update=given_up), when.mark), when)
    if row.state not in (R.WAITING, R.RUNNING):
        return row
    acts = []
    after = row.model_copy(update={"state": R.CANCELLED, "reasons": (CANCELLED,)})
    for task in row.tasks:
        if task.state is not T.IN_PROGRESS:
            continue
        if task.kind is TaskKind.DEVICE:
            acts.append(Act(kind=A.CANCEL, task=task.key))
        else:
            ended, told = _ended(task, T.CANCELLED, CANCELLED, when)
            after, acts = after.with_task(ended), [*acts, told]
    return _changed(row, _with(_taken(after, when.mark), acts), when)


def ends(
    row: WorkflowRow,
    task: TaskRow,
    state: TaskState,
    when: Moment,
    *,
    retries: int,
    cause: str | None = None,
    artifacts: dict[str, str] | None = None,
    record_id: RecordId | None = None,
) -> WorkflowRow:
    """Take a task's end, and go on: to the next, to another try, or to the run's own end."""
    produced = {**task.artifacts, **(artifacts or {})}
    known = record_id if record_id is not None else task.record_id
    task = task.model_copy(update={"artifacts": produced, "record_id": known})
    if produced and len(row.with_task(task).to_bytes()) > MOST_GROWN:
        task = task.model_copy(update={"artifacts": {}})
        state, cause = T.FAILED, f"with its artifacts the workflow is above {MOST_GROWN} bytes"
    ended, told = _ended(task, state, cause, when)
    if state is T.FAILED and row.state is R.RUNNING and task.tries <= retries:
        after = row.with_task(ended.model_copy(update={"state": T.PENDING}))
    else:
        after = _with(row.with_task(ended), [told])
    if row.state is R.RUNNING:
        after = _go_on(after, when)
    return _changed(row, after, when)


def noted(row: WorkflowRow, note: str, when: Moment) -> WorkflowRow:
    """Keep what a person should know; the oldest goes where there are too many."""
    if note in row.notes:
        return row
    notes = (*row.notes, note)[-MOST_NOTES:]
    return _changed(row, row.model_copy(update={"notes": notes}), when)


def _go_on(row: WorkflowRow, when: Moment) -> WorkflowRow:
    """Dispatch what is ready; end the run if a task failed, or none is left."""
    failed = [task for task in row.tasks if task.state is T.FAILED]
    if failed:
        reasons = bounded([f"task {task.key}: {task.cause}" for task in failed])
        return row.model_copy(update={"state": R.FAILED, "reasons": reasons})
    if all(task.state is T.COMPLETED for task in row.tasks):
        done = row.model_copy(update={"state": R.COMPLETED, "reasons": ()})
        return _with(done, [Act(kind=A.FINISH)])
    for task in order.ready(row):
        row = _dispatch(row, task, when)
    return row


def _dispatch(row: WorkflowRow, task: TaskRow, when: Moment) -> WorkflowRow:
    update = {
        "state": T.IN_PROGRESS,
        "attempt": task.attempt + 1,
        "tries": task.tries + 1,
        "born_ms": when.born_ms,
        "cause": None,
        "artifacts": {},
        "record_id": None,
    }
    if task.kind is TaskKind.DEVICE:
        update["reconstruct"] = order.reconstructs_itself(row.tasks, task)
    elif task.kind is TaskKind.RECONSTRUCTION:
        update["record_id"] = order.given(row.tasks, task).get(order.RECORD_ID)
    sent = task.model_copy(update=update)
    text = sent_to(sent) + (f", attempt {sent.attempt}" if sent.attempt > 1 else "")
    told = Act(kind=A.TELL, task=task.key, status=TaskStatus.IN_PROGRESS, text=text)
    return _with(row.with_task(sent), [Act(kind=A.DISPATCH, task=task.key), told])


def _ended(task: TaskRow, state: TaskState, cause: str | None, when: Moment) -> tuple[TaskRow, Act]:
    ended = task.model_copy(
        update={
            "state": state,
            "cause": cause,
            "ended_by": (*task.ended_by, when.mark)[-MOST_MARKS:],
        }
    )
    status = TaskStatus.COMPLETED if state is T.COMPLETED else TaskStatus.FAILED
    return ended, Act(kind=A.TELL, task=task.key, status=status, text=(cause or "completed")[:500])


def _with(row: WorkflowRow, acts: list[Act]) -> WorkflowRow:
    return row.model_copy(update={"acts": (*row.acts, *acts)})


def _taken(row: WorkflowRow, mark: str) -> WorkflowRow:
    if mark in row.taken:
        return row
    return row.model_copy(update={"taken": (*row.taken, mark)[-MOST_MARKS:]})


def _changed(before: WorkflowRow, after: WorkflowRow, when: Moment) -> WorkflowRow:
    """Give a change its number, and have it told."""
    acts = [act for act in after.acts if act.kind is not A.RESPOND]
    return after.model_copy(
        update={
            "version": before.version + 1,
            "at_ms": when.at_ms,
            "changed_ms": max(before.changed_ms, when.born_ms),
            "acts": (*acts, Act(kind=A.RESPOND)),
        }
    )
