"""Answers of the manager services, after their contracts (tests/contracts/*.openapi.json)."""

from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field, field_validator

from models.base import FreeText, Message, RecordId
from models.workflow import TextMap


class DeviceAddress(Message):
    """GET /api/v1/device/{device_id}/ip_address: host or host:port, not validated there."""

    ip_address: str = Field(min_length=1, max_length=512)


class Device(Message):
    """GET /api/v1/device/{device_id}."""

    id: str
    name: str
    manufacturer: str
    modality: str
    status: str
    site: str | None = None
    ip_address: str


class MRISequence(Message):
    """GET /api/v1/mri/sequences/{id}; `file` is the Pulseq text, line ends as uploaded."""

    id: str = Field(alias="_id", pattern=r"^[0-9a-fA-F]{24}$")
    name: str
    description: str | None = None
    sequence_type: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    tags: tuple[str, ...] | None = None
    file: str
    file_extension: str | None = None


class RecordIn(Message):
    """POST /api/v1/exam/record (record eras only). Not idempotent, no client key."""

    job_id: str
    data_path: str | None = None
    comment: str | None = None


class RecordUpdate(Message):
    """PUT /api/v1/exam/record/{record_id}/: only the keys given are set."""

    data_path: str | None = None
    comment: str | None = None


class Record(Message):
    """A record as the exam manager gives it; its id is an integer or a UUID."""

    id: RecordId
    data_path: str | None = None
    comment: str | None = None
    datetime_created: str = ""

    @property
    def created(self) -> datetime:
        """When it was made (the manager's clock, no zone); the far future when unreadable."""
        try:
            return datetime.fromisoformat(self.datetime_created).replace(tzinfo=UTC)
        except ValueError:
            return datetime.max.replace(tzinfo=UTC)


class TaskType(StrEnum):
    """Contract messages.md section 5."""

    PROCESSING_TASK = "PROCESSING_TASK"
    DEVICE_TASK = "DEVICE_TASK"
    CERTIFIED_DEVICE_TASK = "CERTIFIED_DEVICE_TASK"
    CERTIFIED_PROCESSING_TASK = "CERTIFIED_PROCESSING_TASK"


class TaskStatus(StrEnum):
    """Contract messages.md section 5."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    ERROR = "ERROR"


class Task(Message):
    """GET /api/v1/exam/task/{task_id}; `status` is a map of one name to free text."""

    id: RecordId
    workflow_id: RecordId | None = None
    description: str
    type: TaskType
    args: TextMap
    artifacts: TextMap
    destinations: TextMap
    status: dict[TaskStatus, str]
    is_template: bool
    is_frozen: bool
    datetime_created: str


class Workflow(Message):
    """GET /api/v1/exam/workflow/{workflow_id}; its tasks come in no defined order."""

    id: RecordId
    comment: str | None = None
    exam_id: RecordId | None = None
    is_finished: bool
    is_template: bool
    is_frozen: bool
    tasks: tuple[Task, ...] = ()
    datetime_created: str
    datetime_updated: str | None = None


class LoginAnswer(Message):
    """POST /api/v1/userlogin/login: the token is opaque and never goes into a log."""

    username: str
    role: str
    access_token: str = Field(repr=False)
    token_type: str
    last_activity_unixtime: int | None = None


class ErrorAnswer(Message):
    """Body of an error: a text, or for 422 a list that may hold input and is not kept."""

    detail: FreeText | None = None

    @field_validator("detail", mode="before")
    @classmethod
    def _text_only(cls, value: object) -> str | None:
        return value[:500] if isinstance(value, str) else None
