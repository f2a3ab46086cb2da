"""Workflows of several tasks: what asks for one, what its tasks say, what is answered."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from models.base import FreeText, Message, RecordId, Time

ShortText = Annotated[str, Field(max_length=65_536)]
TextMap = Annotated[dict[str, ShortText], Field(max_length=256)]


class WorkflowRequestKind(StrEnum):
    """What may be asked of a workflow."""

    START = "start_workflow"
    STATUS = "get_status"
    RESUME = "resume_workflow"
    CANCEL = "cancel_workflow"


class WorkflowRequest(Message):
    """Contract messages.md section 4."""

    workflow_id: RecordId
    type: WorkflowRequestKind


class TaskEvent(Message):
    """An order to a processing service, on the topic that its task names (messages.md 3)."""

    task_id: RecordId
    input: TextMap


class TaskCompletion(Message):
    """A processing service's report; the forms of 2024-08 (`status`) and 2024-12 (`success`)."""

    task_id: RecordId
    workflow_id: RecordId | None = None
    success: bool = True
    status: str | None = Field(default=None, max_length=32)
    artifacts: TextMap | None = None
    error: FreeText | None = None


class TaskState(StrEnum):
    """States of a task as we run it; what goes where is in docs/workflows.md."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class RunState(StrEnum):
    """States of a workflow as we run it; what goes where is in docs/workflows.md."""

    WAITING = "waiting"
    """It is to be started, and a manager that must be asked before is away."""
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    """It can't be run as it is; the reasons say why."""


class WorkflowStatus(StrEnum):
    """A workflow's status in a response (messages.md 4, and `cancelled`)."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class WorkflowResponse(Message):
    """A workflow's state: on every change, and for whoever asked.

    `reasons`: why it is not running, or waits; all at once. `notes`: what a person should know
    besides. No task's `args`: they may hold a patient's data (promise 8).
    """

    workflow_id: RecordId
    status: str
    tasks: tuple[dict[str, Any], ...] = ()
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    at: Time | None = None
