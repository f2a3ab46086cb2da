"""What a device's aggregate remembers: its requests (acceptance rows). Parked: models/work.py."""

from models.base import Message, RecordId
from models.events import ScanState
from models.scan import ScanJob
from models.steps import ScanIdentity
from streams.openwork import SEPARATOR


class RequestRow(Message):
    """An accepted request; its identity is (device_id, request id)."""

    stage: ScanState
    origin: str
    """topic-partition-offset of the first arrival: the same again is a redelivery."""
    body_sha256: str
    """Another origin with the same body is a repeat, with another body a conflict."""
    born_ms: int
    """Broker time of the first arrival (promise 9)."""
    order: str
    """Sorts the device's jobs as they came; names the parked row."""
    job: ScanJob
    request_id: str
    record_id: RecordId | None = None
    attempt: int = 0
    """How often making the record was begun; from the second on the job's records are listed first."""
    tasks: int = 0
    """How many DeviceTasks were sent; only the last one counts."""
    starts: int = 0
    """How many STARTs were intended."""
    moves: int = 0
    """How many changes of state were announced before there is a record: each has an id of its own."""
    cause: str | None = None
    advice: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    @property
    def identity(self) -> ScanIdentity:
        """Give the scan's names; only once it has a record."""
        if self.record_id is None:
            raise ValueError("the request has no record yet")
        return ScanIdentity(
            record_id=self.record_id,
            device_id=self.job.device_id,
            request_id=self.request_id,
            job_id=self.job.job_id,
            workflow_id=self.job.workflow_id,
            task_id=self.job.task_id,
            reconstruct=self.job.reconstruct,
        )

    @property
    def trace(self) -> tuple[tuple[str, bytes | None], ...]:
        """Give the trace context as headers."""
        pairs = (("traceparent", self.traceparent), ("tracestate", self.tracestate))
        return tuple((name, value.encode()) for name, value in pairs if value)


def request_key(device_id: str, request_id: str) -> str:
    """Give the key of an acceptance row."""
    return device_id + SEPARATOR + request_id
