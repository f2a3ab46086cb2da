"""A scan's files on their way: uploads, reconstruction jobs and results, downloads."""

from enum import StrEnum

from pydantic import Field

from models.base import (
    DeviceId,
    FileSize,
    FreeText,
    Location,
    MediaType,
    Message,
    RecordId,
    RequestId,
    Sha256,
    Time,
)
from models.events import ScanState

MAX_FILES = 2048
"""DICOM files that one RecoResult may name; rows and events stay below a message's limit."""


class ResultUpload(Message):
    """A raw data file that lies in the data lake, announced by a device or its bridge."""

    record_id: RecordId
    upload_id: RequestId
    location: Location
    size: FileSize
    sha256: Sha256
    device_id: DeviceId | None = None
    file_name: str | None = Field(default=None, max_length=255)
    media_type: MediaType | None = None


class RecoJob(Message):
    """An order to a reconstruction worker. The one that exists reads the first two fields."""

    record_id: RecordId
    input: Location
    reco_job_id: RequestId
    request_id: RequestId
    sha256: Sha256
    size: FileSize
    output_dir: Location


class ResultFile(Message):
    """One file that a reconstruction wrote."""

    location: Location
    size: FileSize
    sha256: Sha256
    media_type: MediaType | None = None


class RecoResult(Message):
    """A reconstruction worker's report; `error` may hold anything and never goes into an event."""

    record_id: RecordId
    reco_job_id: RequestId
    success: bool
    files: tuple[ResultFile, ...] = Field(default=(), max_length=MAX_FILES)
    error: FreeText | None = None


class What(StrEnum):
    """What a ResultRequest asks for."""

    IMAGE = "image"
    RAW = "raw"
    STATE = "state"


class ResultRequest(Message):
    """Somebody asks for a record's image, raw data or state; the answer is on `result-chunks`."""

    request_id: RequestId
    record_id: RecordId
    what: What = What.IMAGE
    sop_instance_uid: str | None = Field(default=None, pattern=r"^[0-9.]{1,64}$")


class AnswerStatus(StrEnum):
    """How a ResultRequest went."""

    OK = "ok"
    MISSING = "missing"
    CORRUPT = "corrupt"
    REFUSED = "refused"


class FileFacts(Message):
    """A registered file as it is told to whoever asks; `name` is ours, never the sender's."""

    name: str
    size: FileSize
    sha256: Sha256
    media_type: str
    sop_instance_uid: str | None = None
    location: Location | None = None


class ScanFacts(Message):
    """A scan as it is told to whoever asks."""

    state: ScanState
    device_id: DeviceId | None = None
    job_id: RecordId | None = None
    request_id: str | None = None
    percent: int | None = None
    attempt: int | None = None
    cause: str | None = None
    advice: str | None = None
    overdue: bool | None = None
    """Whether it was announced as OVERDUE, and nothing came since: a person may cancel it then."""
    times: dict[str, Time] = Field(default_factory=dict)
    files: tuple[FileFacts, ...] = ()


class AnswerMetadata(Message):
    """First part of an answer; for what=state the only one besides the end."""

    request_id: RequestId
    record_id: RecordId
    status: AnswerStatus
    reason: str | None = None
    scan: ScanFacts | None = None
    file: FileFacts | None = None
    chunks: int = 0
    chunk_size: int


class AnswerEnd(Message):
    """Last part of an answer: of the whole file, as it was read."""

    sha256: Sha256
    size: FileSize
    at: Time | None = None
