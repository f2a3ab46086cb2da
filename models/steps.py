"""Messages between the aggregates, and from timers and background work: internal topics only."""

from enum import StrEnum

from pydantic import Field

from models.base import DeviceId, FileSize, Location, Message, RecordId, RequestId, Sha256
from models.events import ScanState
from models.scan import ScanCommand
from models.wire import Cause


class ScanIdentity(Message):
    """What a scan is called everywhere; carried whole, as steps may come in any order."""

    record_id: RecordId
    device_id: DeviceId
    request_id: RequestId
    job_id: RecordId
    workflow_id: RecordId | None = None
    task_id: RecordId | None = None
    reconstruct: bool | None = None
    """False: its raw data wait for a task of its workflow; None counts as true."""


class DeviceStepKind(StrEnum):
    """What a device's aggregate is told."""

    DUE = "due"  # a parked job's time has come
    NEXT = "next"  # the job before is out of the way
    CONFIRMED = "confirmed"  # a person or the scanner's status settled an UNKNOWN scan
    RELEASED = "released"  # the record: the scan is over at the device (ACQUIRED, or final)
    COMMAND = "command"  # the record: a command to a scan that has not been started
    RELINE = "reline"  # a hold is over: those HELD with their device line up again, some at a time
    EXPIRE = "expire"  # the sweep: requests that are over and old, to be forgotten


class DeviceStep(Message):
    """A step of a device's aggregate."""

    kind: DeviceStepKind
    device_id: DeviceId
    name: str = ""
    version: int = 0
    request_id: RequestId | None = None
    attempt: int | None = None
    started: bool | None = None
    state: ScanState | None = None
    """With RELEASED: how far the scan is."""
    command: ScanCommand | None = None
    """With COMMAND: it names its scan by `scan_request_id`."""
    requests: tuple[RequestId, ...] = Field(default=(), max_length=256)
    """With EXPIRE."""


class RecordStepKind(StrEnum):
    """What a record's aggregate is told."""

    SCAN = "scan"  # the device's aggregate: how far the scan is
    DUE = "due"  # a timer: a row's time has come
    STORED = "stored"  # background work: files are copied, or why not
    TOLD = "told"  # background work: the exam manager was told, or why not
    COMMAND = "command"  # a command to a scan, from its device's aggregate
    NOTICED = "noticed"  # a download found a file at the old conventional place
    EXPIRE = "expire"  # the sweep: it ended long ago, and is to be forgotten
    RECONSTRUCT = (
        "reconstruct"  # a workflow's own task for that: its raw data are to be reconstructed
    )


class FoundFile(Message):
    """A file as our own verified copy of it lies in the data lake."""

    location: Location
    size: FileSize
    sha256: Sha256
    media_type: str = "application/octet-stream"
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None


class Failure(Message):
    """Why background work did not go well: `cause` is set where the message is at fault."""

    sentence: str
    cause: Cause | None = None
    again: bool = False
    counts: bool = True
    """False: nobody was reached at all, so it says nothing of this work."""


class RecordStep(Message):
    """A step of a record's aggregate."""

    kind: RecordStepKind
    record_id: RecordId
    scan: ScanIdentity | None = None
    state: ScanState | None = None
    previous: ScanState | None = None
    """What was announced of the job before it had a record."""
    cause: str | None = None
    advice: str | None = None
    attempt: int | None = None
    born_ms: int | None = None
    creations: int | None = None
    """How often making the record was begun: from the second on there may be a spare one."""
    command: ScanCommand | None = None
    workflow_id: RecordId | None = None
    """With RECONSTRUCT: who asks, and is told; `attempt` is that of its task."""
    spares: tuple[RecordId, ...] = Field(default=(), max_length=64)
    name: str = ""
    version: int = 0
    files: tuple[FoundFile, ...] = Field(default=(), max_length=4096)
    failure: Failure | None = None


class WorkflowStepKind(StrEnum):
    """What a workflow's aggregate is told."""

    SCAN = "scan"  # a device's or a record's aggregate: how far the scan of a task is
    DUE = "due"  # a timer: a row's time has come
    TOLD = "told"  # background work: the exam manager was told, or why not
    EXPIRE = "expire"  # the sweep: it ended long ago, and is to be forgotten


class WorkflowStep(Message):
    """A step of a workflow's aggregate."""

    kind: WorkflowStepKind
    workflow_id: RecordId
    """Of a row that waits to learn its workflow (`route/…`): the task's id."""
    task_id: RecordId | None = None
    request_id: RequestId | None = None
    """With SCAN: the scan's; it tells one attempt of a task from another."""
    record_id: RecordId | None = None
    attempt: int | None = None
    """With SCAN: the attempt that RECONSTRUCT named; None if the workflow asked for none."""
    state: ScanState | None = None
    location: Location | None = None
    """With SCAN: the raw data (ACQUIRED), or the first image (COMPLETED)."""
    sha256: Sha256 | None = None
    cause: str | None = None
    name: str = ""
    version: int = 0
    failure: Failure | None = None
    fault: bool = False
    """With a failure: it alone failed, while the manager was well."""
