"""What a record's aggregate remembers: the scan, its files, and its open work."""

from enum import StrEnum
from typing import Final

from pydantic import Base64Bytes, Field

from models.base import FileSize, Location, Message, RecordId, Sha256
from models.errors import PoisonError
from models.events import ScanState
from models.results import ResultFile
from models.steps import ScanIdentity
from models.wire import Cause
from models.work import WorkRow
from streams.inbound import Inbound
from streams.openwork import SEPARATOR

KEPT_BYTES: Final = 1_100_000
"""Largest message that is kept in a row: any input; in base64 far below a changelog's 4 MiB."""


class ScanRow(Message):
    """A scan, as far as it is."""

    scan: ScanIdentity
    state: ScanState
    percent: int | None = None
    cause: str | None = None
    advice: str | None = None
    attempt: int = 0
    times: dict[ScanState, int] = Field(default_factory=dict)
    """When each state was first reached: wall time in ms, for people."""
    files: int = 0
    """How many files are registered; their rows are keyed 0, 1, … (never a list in one row)."""
    creations: int = 1
    """How often making the record was begun."""
    turns: int = 0
    """How often a person released it: what it announces afterwards has ids of its own."""
    heard: int = -1
    """Offset of the newest step of its device's aggregate that changed it: older ones come again."""
    seen_ms: int = 0
    """Broker time of the last change, or of the last that its scanner or reconstruction sent."""
    overdue: bool = False
    """Whether it was announced as OVERDUE, and nothing came since."""
    overdues: int = 0
    """How often it was announced as OVERDUE in its state."""
    tidied: bool = False
    """Whether a spare record of the same request was looked for, at the scan's end."""
    wanted_by: RecordId | None = None
    """The workflow that asked for its reconstruction, and is told of it."""
    wanted: int | None = None
    """The attempt that it named."""
    raw: int | None = None
    """Number of the first raw data file."""
    ended_by: str | None = None
    """Mark of the message that took the scan to its final state."""
    ended_from: ScanState | None = None
    """The state in which that message found it."""
    ended_ms: int = 0
    """Broker time of its end: from then on it is kept for SCANHUB_KEEP_RECORDS_DAYS."""

    def before(self, mark: str) -> "ScanRow":
        """Give the row as the message that ended the scan found it, if this is that one; else as it is.

        A worker may die when the final row is durable and not yet announced. Handled again on this
        row, the message says all that it had to say, with the same ids.
        """
        if self.ended_by != mark or self.ended_from is None:
            return self
        found = {"state": self.ended_from, "ended_by": None, "ended_from": None}
        return self.model_copy(update=found)


class FileKind(StrEnum):
    """What a registered file is."""

    RAW = "raw"
    IMAGE = "image"


class FileRow(Message):
    """A registered file: our own copy, verified when it was put into place (promise 7)."""

    kind: FileKind
    number: int
    location: Location
    size: FileSize
    sha256: Sha256
    media_type: str
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    reco_job_id: str | None = None
    """For raw data: the RecoJob that we sent. For an image: the one that it answers."""
    late: bool = False
    """For raw data: it came after the scan's end; registering it again says so again."""


class FileIndex(Message):
    """Points from a number, a SOP Instance UID or a RecoJob's id to a file's sha256."""

    sha256: Sha256


class WorkKind(StrEnum):
    """Kinds of a record's open work."""

    EARLY = "early"  # a message that came before its record is known
    COPY = "copy"  # raw data to be copied, checked and registered
    REGISTER = "register"  # images to be copied, checked and registered
    TELL = "tell"  # the exam manager is to be told of the image
    TIDY = "tidy"  # a spare record of the same request is to be looked for, and closed
    DEADLINE = "deadline"  # nothing may come of the scan for so long, then that is announced


class Original(Message):
    """A message as it came, kept so that it can be handled later or become a dead letter."""

    topic: str
    partition: int
    offset: int
    key: Base64Bytes | None = None
    value: Base64Bytes | None = None
    timestamp_ms: int
    headers: tuple[tuple[str, Base64Bytes | None], ...]

    @classmethod
    def of(cls, inbound: Inbound) -> "Original":
        """Keep a message."""
        return cls.model_construct(
            topic=inbound.topic,
            partition=inbound.partition,
            offset=inbound.offset,
            key=inbound.key,
            value=inbound.value,
            timestamp_ms=inbound.timestamp_ms,
            headers=inbound.headers,
        )

    def inbound(self) -> Inbound:
        """Give the message back."""
        return Inbound(
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            key=self.key,
            value=self.value,
            timestamp_ms=self.timestamp_ms,
            headers=self.headers,
        )


def keep(inbound: Inbound) -> Original:
    """Keep a message in a row. Raises PoisonError if it is too large for one."""
    size = len(inbound.value or b"") + sum(len(v or b"") for _, v in inbound.headers)
    if size > KEPT_BYTES:
        raise PoisonError(f"the message has {size} bytes, {KEPT_BYTES} are kept", Cause.TOO_LARGE)
    return Original.of(inbound)


class WorkItem(WorkRow):
    """A row of a record's open work."""

    kind: WorkKind
    original: Original | None = None
    files: tuple[ResultFile, ...] = ()
    reco_job_id: str | None = None
    tries: int = 0
    counted: int = 0
    """How many of these count against it: where nobody was reached they do not."""
    watch: bool = False
    """For REGISTER: a foreign worker says nothing; its file is looked for until it is there."""
    second: bool = False
    """For TIDY: the second look."""
    cause: str | None = None

    def mark(self, name: str) -> str:
        """Give the mark of the message that this work follows from; without one, the work's name."""
        return name if self.original is None else self.original.inbound().mark


def file_key(record: str, sha256: str) -> str:
    """Give the key of a file's row: record/sha256."""
    return f"{record}{SEPARATOR}{sha256}"


def index_key(record: str, kind: str, name: int | str) -> str:
    """Give the key of an index row: of a number (`n`), a SOP Instance UID (`uid`), a RecoJob (`job`)."""
    return f"{record}{SEPARATOR}{kind}/{name}"
