"""What happened to a scan, for the UI, the audit and the monitor. No patient data (promise 8)."""

from enum import StrEnum

from pydantic import Field

from models.base import DeviceId, FileSize, Location, Message, RecordId, RequestId, Sha256, Time


class ScanState(StrEnum):
    """States of a scan; what goes where is in docs/architecture.md."""

    ACCEPTED = "ACCEPTED"
    WAITING = "WAITING"
    QUEUED = "QUEUED"
    HELD = "HELD"
    READY = "READY"
    STARTING = "STARTING"
    UNKNOWN = "UNKNOWN"
    STARTED = "STARTED"
    RUNNING = "RUNNING"
    ACQUIRED = "ACQUIRED"
    RECONSTRUCTING = "RECONSTRUCTING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        """Final states never go back (promise 5)."""
        return self in FINAL


FINAL = frozenset({ScanState.COMPLETED, ScanState.FAILED, ScanState.CANCELLED})


class EventKind(StrEnum):
    """Kinds of a ScanEvent."""

    STATE_CHANGED = "STATE_CHANGED"
    PROGRESS = "PROGRESS"
    REPEATED = "REPEATED"
    ADOPTED = "ADOPTED"
    RETRYING = "RETRYING"
    RESULT_REGISTERED = "RESULT_REGISTERED"
    RESULT_REFUSED = "RESULT_REFUSED"
    LATE = "LATE"
    OVERDUE = "OVERDUE"
    CONFLICT = "CONFLICT"
    COMMAND_ANSWERED = "COMMAND_ANSWERED"


class EventFile(Message):
    """A registered file, as an event names it: our own path, no name that a sender chose."""

    location: Location
    size: FileSize
    sha256: Sha256


class ScanEvent(Message):
    """Something that happened. Consumers drop repeats by event_id (also the header message-id)."""

    event_id: str
    event: EventKind
    at: Time
    request_id: RequestId | None = None
    job_id: RecordId | None = None
    record_id: RecordId | None = None
    device_id: DeviceId | None = None
    workflow_id: RecordId | None = None
    state: ScanState | None = None
    previous: ScanState | None = None
    percent: int | None = Field(default=None, ge=0, le=100)
    cause: str | None = Field(default=None, max_length=1000)
    advice: str | None = Field(default=None, max_length=1000)
    attempt: int | None = None
    count: int | None = None
    """How many files, records or jobs; of a QUEUED job its place, 1 = the next."""
    command_id: RequestId | None = None
    """With COMMAND_ANSWERED: the command that is answered."""
    manager: str | None = None
    """Of no scan: a manager does not answer (state WAITING), or answers again (state ACCEPTED)."""
    files: tuple[EventFile, ...] | None = None
