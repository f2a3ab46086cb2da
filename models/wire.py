"""Names on the wire: topics, headers, and the ids that we make."""

import re
from enum import StrEnum
from hashlib import sha1
from typing import Final
from uuid import UUID

# Topics (default names; streams/topics.py applies settings and prefix).
SCAN_JOBS: Final = "scan-jobs"
SCAN_COMMANDS: Final = "scan-commands"
DEVICE_TASKS: Final = "device-tasks"
SCAN_STATUS: Final = "scan-status"
RESULT_UPLOADS: Final = "result-uploads"
RECO_RESULTS: Final = "reco-results"
WORKFLOW_REQUESTS: Final = "workflow-requests"
TASK_COMPLETIONS: Final = "task-completions"
RESULT_REQUESTS: Final = "result-requests"
DEVICE_STEPS: Final = "device-steps"
RECORD_STEPS: Final = "record-steps"
WORKFLOW_STEPS: Final = "workflow-steps"
RECO_JOBS: Final = "reco-jobs"
TASK_EVENTS: Final = "task-events"
WORKFLOW_RESPONSES: Final = "workflow-responses"
RESULT_CHUNKS: Final = "result-chunks"
SCAN_EVENTS: Final = "scan-events"
DEAD_LETTERS: Final = "dead-letters"
DEAD_LETTER_ACTS: Final = "dead-letter-acts"

# Headers that we read and carry on.
REQUEST_ID: Final = "request-id"  # the idempotency key of a scan job
CE_SOURCE: Final = "ce_source"  # CloudEvents, Kafka binding: used where there is no request-id
CE_ID: Final = "ce_id"
TRACEPARENT: Final = "traceparent"  # W3C trace context, passed through
TRACESTATE: Final = "tracestate"

# Headers that we write.
MESSAGE_ID: Final = "message-id"  # UUIDv5, equal on every repeat of one message
REROUTED_FROM: Final = "rerouted-from"  # topic-partition-offset where the message first arrived
REROUTED_TIME: Final = "rerouted-time"  # broker time there, milliseconds since 1970
FENCING_TOKEN: Final = "fencing-token"  # noqa: S105 - a number for devices, no secret

# Headers of the parts of an answer on `result-chunks`.
PART: Final = "part"  # metadata, chunk or end
CHUNK_INDEX: Final = "index"
CHUNK_OFFSET: Final = "offset"
CHUNK_SHA256: Final = "sha256"
CHUNK_SIZE: Final = 524_288  # bytes of a file in one message

# Headers of a dead letter (the first five: the names that Kafka Streams uses).
DEAD_EXCEPTION: Final = "__streams.errors.exception"
DEAD_MESSAGE: Final = "__streams.errors.message"
DEAD_TOPIC: Final = "__streams.errors.topic"
DEAD_PARTITION: Final = "__streams.errors.partition"
DEAD_OFFSET: Final = "__streams.errors.offset"
DEAD_CAUSE: Final = "scanhub.cause"
DEAD_STAGE: Final = "scanhub.stage"
DEAD_ATTEMPTS: Final = "scanhub.attempts"
DEAD_FAILED_AT: Final = "scanhub.failed-at"
DEAD_FIRST_FAILED_AT: Final = "scanhub.first-failed-at"  # over all replays
DEAD_NULL_VALUE: Final = "scanhub.null-value"  # only where key and value were null: sent as empty
DEAD_STUB_SIZE: Final = "scanhub.stub-size"  # only on a stub: the value's full size in bytes
DEAD_STUB_SHA256: Final = "scanhub.stub-sha256"  # only on a stub: of the full value
DEAD_HEADERS: Final = frozenset({
    DEAD_EXCEPTION, DEAD_MESSAGE, DEAD_TOPIC, DEAD_PARTITION, DEAD_OFFSET, DEAD_CAUSE, DEAD_STAGE,
    DEAD_ATTEMPTS, DEAD_FAILED_AT, DEAD_FIRST_FAILED_AT, DEAD_NULL_VALUE, DEAD_STUB_SIZE,
    DEAD_STUB_SHA256,
})  # fmt: skip
"""All names that we write on a dead letter; a header by one of them is ours, whoever sent it."""


class Cause(StrEnum):
    """Why a message became a dead letter."""

    UNDECODABLE = "undecodable"
    INVALID = "invalid"
    TOO_LARGE = "too-large"
    UNKNOWN_RECORD = "unknown-record"
    WRONG_DEVICE = "wrong-device"
    PATH_REFUSED = "path-refused"
    FILE_REFUSED = "file-refused"
    UNSUPPORTED = "unsupported"
    INTERNAL = "internal"


_NAMESPACE: Final = UUID("0f0f2b9d-6e0f-5d53-9e0f-5c1f7a3b2d11").bytes
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def make_id(request_id: str, kind: str, n: int | str = 0) -> str:
    """Make the id of something that follows from a request: the same on every repeat (UUIDv5).

    As `uuid.uuid5` does (RFC 9562, 5.5), without making an object of it: a job has a dozen of these.
    """
    digest = sha1(_NAMESPACE + f"{request_id}\x1f{kind}\x1f{n}".encode(), usedforsecurity=False)
    h = digest.hexdigest()
    variant = _VARIANT[h[16]]
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{variant}{h[17:20]}-{h[20:32]}"


def identity_of(headers: dict[str, bytes], origin: str, broker_ms: int) -> str:
    """Give a job's request id: its header, else its CloudEvents id, else one made from its origin.

    `origin` is topic-partition-offset. The broker's time is part of it, so that a topic which was
    deleted and made again does not repeat old ids.
    """
    given = _text(headers.get(REQUEST_ID))
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    source, event_id = _text(headers.get(CE_SOURCE)), _text(headers.get(CE_ID))
    if source and event_id:
        return make_id(source, "cloudevent", event_id)
    return make_id(origin, "origin", broker_ms)


def _text(value: bytes | None) -> str | None:
    try:
        return value.decode() if value else None
    except UnicodeDecodeError:
        return None
