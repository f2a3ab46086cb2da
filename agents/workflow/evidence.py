"""What scans and services say of tasks: plain functions, no I/O, no clock, no Faust."""

from typing import Final

from agents.workflow import order
from agents.workflow.decide import Moment, ends
from agents.workflow.state import TaskKind, TaskRow, WorkflowRow
from agents.workflow.writing import request_id
from models.base import RecordId, canonical
from models.errors import PoisonError
from models.events import ScanState
from models.managers import TaskStatus
from models.steps import WorkflowStep
from models.wire import Cause
from models.workflow import RunState, TaskCompletion, TaskState

R = RunState
S = ScanState
T = TaskState

SERVICE_FAILED: Final = "its processing service reported a failure"


def scanned(row: WorkflowRow, step: WorkflowStep, when: Moment, *, retries: int) -> WorkflowRow:
    """Take what a scan's aggregates say: it ends the task that asked for it, or its reconstruction."""
    for task in row.tasks:
        goal = _of_scan(row, task, step)
        if goal is None:
            continue
        artifacts = {}
        if goal is T.COMPLETED and step.record_id is not None:
            artifacts[order.RECORD_ID] = canonical(step.record_id)
            if step.location is not None:
                artifacts[order.INPUT] = step.location
        cause = None if goal is T.COMPLETED else step.cause or f"its scan is {step.state}"
        row = ends(
            row,
            task,
            goal,
            when,
            retries=retries,
            cause=cause,
            artifacts=artifacts,
            record_id=step.record_id,
        )
    return row


def _of_scan(row: WorkflowRow, task: TaskRow, step: WorkflowStep) -> TaskState | None:
    """Say how a task ends by a scan's news; None if it does not."""
    done = [S.COMPLETED]
    if task.kind is TaskKind.DEVICE:
        mine = step.request_id == request_id(row.id, task)
        if not task.reconstruct:
            done += [S.ACQUIRED, S.RECONSTRUCTING]
    else:
        mine = (
            task.kind is TaskKind.RECONSTRUCTION
            and _same(task.record_id, step.record_id)
            and step.attempt == task.attempt
        )
    if not mine:
        return None
    if step.state in done:
        return T.COMPLETED if task.state in (T.IN_PROGRESS, T.CANCELLED) else None
    if step.state not in (S.FAILED, S.CANCELLED) or task.state is not T.IN_PROGRESS:
        return None
    by_person = step.state is S.CANCELLED and row.state is R.CANCELLED
    return T.CANCELLED if by_person else T.FAILED


def _same(one: RecordId | None, other: RecordId | None) -> bool:
    return one is not None and other is not None and canonical(one) == canonical(other)


def reported(
    row: WorkflowRow, task: TaskRow, message: TaskCompletion, when: Moment, *, retries: int
) -> tuple[WorkflowRow, str | None]:
    """Take a service's report; gives a sentence instead where it changes nothing.

    Raises PoisonError for a status that is none.
    """
    success = _verdict(message)
    if when.mark in task.ended_by or success is None:
        return row, None
    if task.kind is not TaskKind.SERVICE:
        return row, f"a completion of task {task.key} was not needed: its scan tells"
    if success and task.state in (T.IN_PROGRESS, T.CANCELLED):
        artifacts = dict(message.artifacts or {})
        return ends(row, task, T.COMPLETED, when, retries=retries, artifacts=artifacts), None
    if not success and task.state is T.IN_PROGRESS:
        # The service's own text goes nowhere: it may hold anything (promise 8).
        return ends(row, task, T.FAILED, when, retries=retries, cause=SERVICE_FAILED), None
    return row, f"a completion of task {task.key} came late: it is {task.state}"


def _verdict(message: TaskCompletion) -> bool | None:
    """Tell a success from a failure; None: it is still at work. `status` is the form of 2024-08."""
    if message.status is None:
        return message.success
    try:
        status = TaskStatus(message.status)
    except ValueError:
        raise PoisonError("status is none of the names of a task's status", Cause.INVALID) from None
    if status is TaskStatus.COMPLETED:
        return message.success
    return False if status in (TaskStatus.FAILED, TaskStatus.ERROR) else None
