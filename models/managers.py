"""Answers of the manager services, after their contracts (tests/contracts/*.openapi.json)."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlencode

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
        return _moment(self.datetime_created)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
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


TaskIds = Annotated[tuple[RecordId, ...], Field(max_length=1_000)]


class Task(Message):
    """GET /api/v1/exam/task/{task_id}; `status` is a map of one name to free text.

    `args` of device tasks hold a patient's measures: no repr shows them.
    """

    id: RecordId
    workflow_id: RecordId | None = None
    description: str = Field(repr=False)
    type: TaskType
    args: TextMap = Field(repr=False)
    artifacts: TextMap
    destinations: TextMap
    status: dict[TaskStatus, str]
    is_template: bool
    is_frozen: bool
    datetime_created: str
    input_task_ids: TaskIds | None = None
    """Tasks whose results it needs; None where the manager knows no such field: then in order."""

    @property
    def created(self) -> datetime:
        """When it was made (the manager's clock, no zone); the far future when unreadable."""
        return _moment(self.datetime_created)

    @property
    def state(self) -> TaskStatus | None:
        """The status; of several the furthest, so that nothing runs twice. None: it has none."""
        return max(self.status, key=list(TaskStatus).index, default=None)


class Workflow(Message):
    """GET /api/v1/exam/workflow/{workflow_id}; its tasks come in no defined order."""

    id: RecordId
    comment: str | None = Field(default=None, repr=False)
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


def login_form(user: str, password: bytes) -> bytes:
    """Give the body of a login: a form, OAuth2's password grant."""
    return urlencode({"grant_type": "password", "username": user, "password": password}).encode()


class ErrorAnswer(Message):
    """Body of an error: a text, or for 422 a list that may hold input and is not kept."""

    detail: FreeText | None = None

    @field_validator("detail", mode="before")
    @classmethod
    def _text_only(cls, value: object) -> str | None:
        return value[:500] if isinstance(value, str) else None
