"""What a task becomes: a ScanJob, an input, a response; plain functions, no I/O.

Ids are made from the workflow, the task and its attempt, so that whatever is sent again is the same.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson
from pydantic import ValidationError

from agents.workflow import order
from agents.workflow.state import TaskKind, TaskRow, WorkflowRow
from agents.workflow.states import STATUS
from models import wire
from models.base import Message, RecordId, canonical, explain
from models.errors import PermanentError
from models.scan import AcquisitionLimits, ScanCommand, ScanCommandKind, ScanJob, SequenceParameters
from models.workflow import RunState, TaskEvent, WorkflowResponse, WorkflowStatus

MOST_INPUTS: Final = 256
MOST_PRIORITY: Final = 1000
ModelT = TypeVar("ModelT", bound=Message)


def request_id(workflow_id: RecordId, task: TaskRow) -> str:
    """Give the request id of a task's newest attempt: its identity at a device."""
    return wire.make_id(canonical(workflow_id), f"task/{task.key}", task.attempt)


def attempt_id(task: TaskRow) -> str:
    """Give the record's id of a later attempt where tasks' ids are records' ids."""
    return wire.make_id(task.key, "attempt", task.attempt)


def scan_job(workflow_id: RecordId, task: TaskRow) -> ScanJob:
    """Write a device's task as a scan job. Raises PermanentError with all that is wrong with it."""
    job, problems = try_scan_job(workflow_id, task)
    if job is None:
        raise PermanentError("; ".join(problems))
    return job


def try_scan_job(workflow_id: RecordId, task: TaskRow) -> tuple[ScanJob | None, list[str]]:
    """Write a device's task as a scan job, or say all that is wrong with it, without any value."""
    problems: list[str] = []
    if not task.device:
        problems.append("it names no device")
    sequence_id = task.args.get("sequence_id", "")
    if not sequence_id:
        problems.append("its args hold no sequence_id")
    limits = _parsed(task, "acquisition_limits", AcquisitionLimits, problems)
    parameters = _parsed(task, "sequence_parameters", SequenceParameters, problems)
    if problems:
        return None, problems
    try:
        job = ScanJob(
            job_id=task.id,
            sequence_id=sequence_id,
            workflow_id=workflow_id,
            device_id=task.device,
            acquisition_limits=limits,
            sequence_parameters=parameters,
            task_id=task.id,
            priority=_priority(task.args.get("priority", "")),
            reconstruct=None if task.reconstruct else False,
        )
    except ValidationError as error:
        return None, [explain(error)]
    return job, []


def _parsed(task: TaskRow, name: str, model: type[ModelT], problems: list[str]) -> ModelT | None:
    """Read an argument that is JSON text (messages.md 6); none, and `null`, are nothing."""
    text = task.args.get(name, "")
    if not text:
        return None
    try:
        value = orjson.loads(text)
        return None if value is None else model.model_validate(value)
    except orjson.JSONDecodeError:
        problems.append(f"its {name} are not JSON text")
    except ValidationError as error:
        problems.append(f"its {name} can't be read: {explain(error)}")
    return None


def _priority(text: str) -> int:
    """Take a priority if it is a number that a job may have, else none."""
    try:
        priority = int(text)
    except ValueError:
        return 0
    return priority if abs(priority) <= MOST_PRIORITY else 0


def task_event(tasks: Sequence[TaskRow], task: TaskRow) -> TaskEvent:
    """Write a service's task (messages.md 3). Raises PermanentError if its input is too large."""
    given = order.given(tasks, task)
    if len(given) > MOST_INPUTS:
        raise PermanentError(f"its input has {len(given)} entries, at most {MOST_INPUTS} are sent")
    return TaskEvent(task_id=task.id, input=given)


def cancel_command(workflow_id: RecordId, task: TaskRow) -> ScanCommand:
    """Write the command that cancels a task's scan."""
    request = request_id(workflow_id, task)
    return ScanCommand(
        command_id=wire.make_id(request, "cancel"),
        command=ScanCommandKind.CANCEL,
        device_id=task.device,
        scan_request_id=request,
        by=f"workflow {canonical(workflow_id)}",
    )


def response(row: WorkflowRow) -> WorkflowResponse:
    """Write what is answered of a workflow."""
    status = STATUS[row.state]
    if row.state is RunState.REFUSED and row.told is not None:
        status = row.told
    return WorkflowResponse(
        workflow_id=row.id,
        status=status,
        tasks=() if status is WorkflowStatus.UNKNOWN else tuple(_told(task) for task in row.tasks),
        reasons=row.reasons,
        notes=row.notes,
        at=datetime.fromtimestamp(row.at_ms / 1000, UTC),
    )


def unknown(workflow_id: RecordId, at: datetime, *reasons: str) -> WorkflowResponse:
    """Answer for a workflow of which nothing is known."""
    return WorkflowResponse(
        workflow_id=workflow_id, status=WorkflowStatus.UNKNOWN, reasons=reasons, at=at
    )


def _told(task: TaskRow) -> dict[str, Any]:
    """Tell of a task, without its args: they may hold a patient's data (promise 8)."""
    device = task.kind is TaskKind.DEVICE
    told: dict[str, Any] = {
        "id": task.id,
        "type": task.type,
        "status": task.state,
        "destinations": {"device": task.device} if device else {"topic": task.topic},
    }
    more = {"attempt": task.attempt or None, "record_id": task.record_id, "cause": task.cause}
    return told | {name: value for name, value in more.items() if value is not None}


def sent_to(task: TaskRow) -> str:
    """Say where a task was sent, for its status at the exam manager."""
    return f"sent to {task.device if task.kind is TaskKind.DEVICE else task.topic}"
