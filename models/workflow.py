"""Workflows of several tasks: what asks for one, what its tasks say, what is answered."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from models.base import FreeText, Message, RecordId

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


class WorkflowResponse(Message):
    """A workflow's state, for whoever asked."""

    workflow_id: RecordId
    status: str
    tasks: tuple[dict[str, Any], ...] = ()
