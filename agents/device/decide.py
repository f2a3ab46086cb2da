"""The device aggregate's decisions: plain functions, no I/O, no clock, no Faust."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NamedTuple

import orjson

from agents.device.state import RequestRow
from agents.tools import request_mark
from models import wire
from models.base import is_integer_id, is_uuid
from models.errors import PermanentError, ScanHubError, TransientError
from models.events import ScanState
from models.managers import Record
from models.scan import ScanJob
from models.work import AT_DEVICE, HELD, PARKED
from settings import DeviceDialect, RecordsDialect
from streams.inbound import Inbound

MOST_FAULTS: Final = 5
"""So often may a manager that is well fail for one request before that is the request's own fault.
The first failure is not counted as a fault, as nothing is known of the others then."""

UNKNOWN_ADVICE: Final = (
    "Look at the scanner. It is not started again by itself: the scanner's next status settles it,"
    " or a person does (`confirm RECORD started`, `confirm RECORD not-started`)."
)
HELD_ADVICE: Final = "Nothing starts late by itself: a person releases or cancels it."
TOO_OLD: Final = "older than START_MAX_AGE"
LEASE_ADVICE: Final = (
    "Look at the scanner. Its queue goes on when the scan is over: by its result, its status, or when"
    " a person cancels it."
)


class Wait(NamedTuple):
    """Why a job can't go on to its device, and the state in which it waits."""

    state: ScanState
    cause: str
    advice: str | None = None


DEVICE_HELD: Final = Wait(
    ScanState.HELD, "its device is on hold", "It goes on when a person releases the device."
)
BUSY: Final = Wait(ScanState.QUEUED, "its device is busy")
BEHIND_OTHERS: Final = Wait(ScanState.WAITING, "jobs before it wait")
HELD_TURN: Final = Wait(
    ScanState.HELD, "it is not yet its turn", "It goes on by itself when it is its turn."
)
BEHIND_READY: Final = Wait(ScanState.READY, "jobs before it wait")


class Arrival(Enum):
    """What a scan job is to us when it arrives."""

    NEW = auto()
    AGAIN = auto()  # a redelivery: resumed from its stage
    REPEATED = auto()  # sent a second time
    CONFLICT = auto()  # another job under a request id that is taken


def arrival(row: RequestRow | None, origin: str, body_sha256: str) -> Arrival:
    """Tell a new job from a redelivery, a repeat and a conflict.

    "Seen before: do nothing" would lose the job whose worker died half-way.
    """
    if row is None:
        return Arrival.NEW
    if row.origin == origin:
        return Arrival.AGAIN
    return Arrival.REPEATED if row.body_sha256 == body_sha256 else Arrival.CONFLICT


def accept(inbound: Inbound, job: ScanJob) -> RequestRow:
    """Make the acceptance row of a new job."""
    trace = dict(inbound.trace)
    return RequestRow(
        stage=ScanState.ACCEPTED,
        origin=inbound.origin,
        body_sha256=inbound.body_sha256,
        born_ms=inbound.born_ms,
        order=order_of(job, inbound),
        job=job,
        request_id=inbound.request_id,
        attempt=1,
        traceparent=_short(trace.get(wire.TRACEPARENT)),
        tracestate=_short(trace.get(wire.TRACESTATE)),
    )


def order_of(job: ScanJob, inbound: Inbound) -> str:
    """Give a job's order in its device's queue: urgent ones first, then as they came."""
    return f"{1000 - job.priority:04d}-{inbound.timestamp_ms:015d}-{inbound.offset:015d}"


def _short(value: bytes | None) -> str | None:
    return value.decode("ascii", "ignore")[:512] if value else None


def refuse(job: ScanJob, *, records: RecordsDialect, dialect: DeviceDialect) -> str | None:
    """Say why a job can never be sent (promise 10); None if it may.

    Ids are checked by shape before anybody is asked: the exam manager answers 500 for a malformed one.
    """
    if (problem := job.problem()) is not None:
        return f"{problem}: nothing was sent"
    if records is RecordsDialect.INTEGER and not is_integer_id(job.job_id):
        return "the job id is no integer, and this exam manager has integer ids"
    if records is RecordsDialect.UUID and not is_uuid(str(job.job_id)):
        return "the job id is no UUID, and this exam manager has UUIDs"
    if dialect is DeviceDialect.TASK:
        if job.acquisition_limits is None:
            return "this device's dialect needs acquisition_limits, and the job has none"
        if job.sequence_parameters is None:
            return "this device's dialect needs sequence_parameters, and the job has none"
    return None


def too_old(born_ms: int, now_ms: int, max_age_s: float) -> bool:
    """Tell whether a job is older than START_MAX_AGE (promise 9); both times are the broker's."""
    return now_ms - born_ms > max_age_s * 1000


def expiry_ms(row: RequestRow, max_age_s: float) -> int | None:
    """Give the broker time at which a job that waits becomes too old; held ones wait for a person."""
    return None if row.stage is ScanState.HELD else row.born_ms + int(max_age_s * 1000) + 1


def held_with_device(row: RequestRow) -> bool:
    """Tell whether a HELD job is in its device's queue; others a person releases one by one."""
    return row.stage is ScanState.HELD and row.cause in (DEVICE_HELD.cause, HELD_TURN.cause)


def goes_on(row: RequestRow) -> bool:
    """Tell whether a job is still on its way to its device, by itself."""
    stages = (ScanState.ACCEPTED, ScanState.WAITING, ScanState.QUEUED, ScanState.READY)
    return row.stage in stages or held_with_device(row)


def rows_of(row: RequestRow, *, limited: bool) -> tuple[str, ...]:
    """Give the kinds of rows that a job in its stage may have in its device's queue."""
    if row.stage in (ScanState.ACCEPTED, ScanState.WAITING, ScanState.QUEUED):
        return (AT_DEVICE, PARKED) if limited else (PARKED,)
    if row.stage is ScanState.READY:
        return (AT_DEVICE,)
    if row.stage is ScanState.HELD:
        return (PARKED,) if held_with_device(row) else (HELD,)
    return (AT_DEVICE,) if limited and not row.stage.final else ()


def record_mark(row: RequestRow) -> str:
    """Give what a record's comment says of its request, so that it can be found again."""
    return request_mark(row.request_id, row.job.device_id)


def record_comment(row: RequestRow) -> str:
    """Give the comment of a new record."""
    return f"Created by the workflow processor, {record_mark(row)}"


def pick_record(records: Sequence[Record], row: RequestRow) -> Record | None:
    """Find this request's record among its job's: the earliest, then the lowest id, if several."""
    mark = record_mark(row)
    mine = [record for record in records if mark in (record.comment or "")]
    return min(mine, key=lambda r: (r.created, _order(r.id)), default=None)


def _order(record_id: int | str) -> tuple[int, str]:
    return (int(record_id), "") if is_integer_id(record_id) else (0, str(record_id))


def device_task(row: RequestRow, sequence_json: bytes) -> bytes:
    """Write a DeviceTask (contract device.openapi.json); the sequence goes in as it came.

    Spliced, not parsed and dumped: a sequence is tens of kB, and the same text for many jobs.
    """
    limits, parameters = row.job.acquisition_limits, row.job.sequence_parameters
    record_id = row.record_id
    return b"".join(
        (
            b'{"device_id":',
            _json_text(row.job.device_id),
            b',"record_id":',
            str(record_id).encode() if isinstance(record_id, int) else _json_text(str(record_id)),
            b',"command":"START","parametrized_sequence":{"acquisition_limits":',
            b"null" if limits is None else limits.to_bytes(),
            b',"sequence_parameters":',
            b"null" if parameters is None else parameters.to_bytes(),
            b',"sequence":',
            sequence_json,
            b"}}",
        )
    )


def _json_text(text: str) -> bytes:
    return orjson.dumps(text)


class Outcome(NamedTuple):
    """What is known after a START."""

    state: ScanState
    cause: str | None = None
    advice: str | None = None


def start_outcome(error: ScanHubError | None) -> Outcome:
    """Say what a device's answer to START means (interface: the table of answers).

    Only where no byte was sent may it be sent again.
    """
    if error is None:
        return Outcome(ScanState.STARTED)
    if isinstance(error, PermanentError):
        return Outcome(ScanState.FAILED, f"{error} (not started)")
    if isinstance(error, TransientError) and not error.sent:
        return Outcome(ScanState.READY, str(error))
    return Outcome(ScanState.UNKNOWN, str(error), UNKNOWN_ADVICE)
