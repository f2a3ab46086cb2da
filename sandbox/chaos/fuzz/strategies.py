"""What is drawn: messages that are whole, spoiled in one place, or rubbish, by hypothesis. No I/O."""

import json
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from models import wire
from models.events import ScanState
from models.results import What
from models.scan import ScanCommandKind, StatusState
from models.steps import DeviceStepKind, RecordStepKind
from sandbox.chaos.facts import partition_of
from sandbox.chaos.traffic import NO_RECORD, SEQUENCE_ID

INPUTS: Final = (
    wire.SCAN_JOBS, wire.SCAN_COMMANDS, wire.SCAN_STATUS, wire.RESULT_UPLOADS, wire.RECO_RESULTS,
    wire.RESULT_REQUESTS, wire.DEVICE_TASKS, wire.DEVICE_STEPS, wire.RECORD_STEPS,
)  # fmt: skip
"""All topics that workers read."""


Any_ = st.SearchStrategy[Any]

_TEXT: Final = st.text(st.characters(), max_size=20)  # half pairs of UTF-16 too
_ODD: Final = st.sampled_from(
    (
        "",
        "\x00",
        "42",
        "mri-9",
        "../../etc/passwd",
        "a b/ü?#%2e",
        "\U0001f9f2",
        "x" * 300,
        "[",
        "null",
    )
)
_NUMBER: Final = st.sampled_from((0, 1, -1, 42, 100, 10**30, 2**63, 1.5, 1e308, float("nan")))
_RUBBISH: Final = st.recursive(
    st.none() | st.booleans() | _NUMBER | _ODD | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT | _ODD, inner, max_size=3),
    max_leaves=6,
)
_NAME: Final = st.from_regex(r"[A-Za-z0-9._:-]{6,12}", fullmatch=True)
_UUID: Final = "6F1C0D6E-3A54-4C3B-9D7B-0D0A4C1B2E3F"
_STEPPED: Final = tuple(NO_RECORD + n for n in range(4))
"""Records that steps of this run may make known: no real one, or a step would spoil a real scan."""
_OWNER: Final = st.sampled_from((*_STEPPED, str(NO_RECORD), 2**63 - 1, _UUID, _UUID.lower()))
_RECORD: Final = _OWNER | st.integers(1, 9) | st.sampled_from(("1", "2")) | st.uuids().map(str)
_SHA256: Final = st.binary(min_size=32, max_size=32).map(bytes.hex)
_SIZE: Final = st.sampled_from((0, 1, 4096, 2**50))
_PLACE: Final = st.sampled_from(
    (
        "incoming/x.npy",
        "../../etc/passwd",
        "/etc/passwd",
        "records/1",
        f"records/{NO_RECORD}/a",
        ".",
    )
)
_FILE: Final = st.fixed_dictionaries({"location": _PLACE, "size": _SIZE, "sha256": _SHA256})
_STRANGER: Final = st.sampled_from(("mri-9", "a b/ü?#%2e", "..", "\U0001f9f2", "x" * 256))
_MEASURE: Final = st.sampled_from((74.125, 178.25, 1.78, -1, 0, 1e308, float("inf"), True))
_XYZ: Final = st.fixed_dictionaries(dict.fromkeys("XYZ", _MEASURE))
_LIMITS: Final = st.fixed_dictionaries(
    {
        "patient_height": _MEASURE,
        "patient_weight": _MEASURE,
        "patient_age": st.sampled_from((0, 41, 130, 131, -1)),
    },
    optional={"Gender": st.sampled_from(("FEMALE", "OTHER", "?"))},
)
_IDENTITY: Final = st.fixed_dictionaries(
    {"record_id": _OWNER, "device_id": _STRANGER, "request_id": _NAME, "job_id": _RECORD}
)


def _bodies(devices: Sequence[str]) -> dict[str, Any_]:
    """Give what each topic takes, more or less; only jobs, commands and statuses name real devices."""
    device = _STRANGER | st.sampled_from(devices)
    return {
        wire.SCAN_JOBS: _dicts(
            {"id": _RECORD, "sequence_id": st.sampled_from((SEQUENCE_ID, "none")), "device_id": device},
            acquisition_limits=_LIMITS,
            sequence_parameters=st.fixed_dictionaries({"fov": _XYZ, "fov_offset": _XYZ}),
            workflow_id=_RECORD,
            task_id=_RECORD,
            priority=st.sampled_from((0, 7, 1001)),
        ),
        wire.SCAN_COMMANDS: _dicts(
            {"command_id": _NAME, "command": _one_of(ScanCommandKind), "device_id": device},
            record_id=_RECORD,
            scan_request_id=_NAME,
            attempt=st.integers(0, 2),
            started=st.booleans(),
            reason=_ODD,
        ),
        wire.SCAN_STATUS: _dicts(
            {"record_id": _RECORD, "status_percent": st.sampled_from((0, 50, 100, 101))},
            device_id=device,
            state=_one_of(StatusState),
            message=_ODD,
            at=st.sampled_from(("2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "now")),
        ),
        wire.RESULT_UPLOADS: _dicts(
            {"record_id": _RECORD, "upload_id": _NAME, "location": _PLACE, "size": _SIZE}
            | {"sha256": _SHA256},
            device_id=device,
            file_name=_ODD,
            media_type=st.just("application/dicom"),
            chunks=st.integers(0, 3),
        ),
        wire.RECO_RESULTS: _dicts(
            {"record_id": _RECORD, "reco_job_id": _NAME, "success": st.booleans()},
            files=st.lists(_FILE, max_size=3),
            error=_ODD,
        ),
        wire.RESULT_REQUESTS: _dicts(
            {"request_id": _NAME, "record_id": _RECORD},
            what=_one_of(What),
            sop_instance_uid=st.sampled_from(("1.2.3", "x")),
        ),
        wire.DEVICE_TASKS: _dicts(
            {"device_id": device, "record_id": _RECORD, "command": st.just("START")},
            parametrized_sequence=_RUBBISH,
        ),
        wire.DEVICE_STEPS: _dicts(
            {"kind": _one_of(DeviceStepKind), "device_id": _STRANGER},
            name=_ODD,
            version=st.integers(0, 2),
            request_id=_NAME,
            attempt=st.integers(0, 2),
            started=st.booleans(),
        ),
        wire.RECORD_STEPS: _dicts(
            {"kind": _one_of(RecordStepKind), "record_id": _OWNER, "scan": _IDENTITY},
            state=_one_of(ScanState),
            name=st.sampled_from(("tell", "tidy", "register/x", "?")),
            attempt=st.integers(0, 2),
            creations=st.integers(0, 3),
            files=st.lists(_FILE, max_size=2),
            cause=_ODD,
            born_ms=st.sampled_from((0, 1_700_000_000_000, -1)),
        ).map(_of_one_record),
    }  # fmt: skip


def _of_one_record(step: dict[str, Any]) -> dict[str, Any]:
    """Let a step's scan be its record's: only workers write steps, and what they say agrees."""
    step["scan"] = {**step["scan"], "record_id": step["record_id"]}
    return step


def _dicts(needed: dict[str, Any_], **more: Any_) -> Any_:
    return st.fixed_dictionaries(needed, optional=more)


def _one_of(kinds: Any) -> Any_:
    return st.sampled_from([str(kind) for kind in kinds])


_OWNER_FIELD: Final = {
    wire.SCAN_JOBS: "device_id", wire.SCAN_COMMANDS: "device_id", wire.DEVICE_TASKS: "device_id",
    wire.DEVICE_STEPS: "device_id",
}  # fmt: skip
_FORMS: Final = ("whole",) * 8 + ("spoiled",) * 10 + ("rubbish",) * 6 + ("bytes",) * 6 + (
    "cut", "cut", "null", "null", "huge",
)  # fmt: skip
_HUGE: Final = (
    b"[" * 100_000,
    b'{"id":' * 10_000,
    b'{"id":"' + b"x" * 200_000 + b'"}',
    b"\xff" * 50_000,
)
_FIELDS: Final = (
    "record_id",
    "device_id",
    "id",
    "kind",
    "files",
    "scan",
    "command",
    "what",
    "state",
)
_SELDOM: Final = st.sampled_from((True, False, False, False, False))
_SOMETIMES: Final = st.sampled_from((True, False, False))


@st.composite
def _values(draw: Any, bodies: dict[str, Any_], topic: str) -> tuple[bytes | None, str]:
    """Draw a value, and the id that the message is about, as far as it has one."""
    form = draw(st.sampled_from(_FORMS))
    if form == "null":
        return None, ""
    if form == "bytes":
        return draw(st.binary(max_size=200)), ""
    if form == "huge" and draw(_SELDOM):
        return draw(st.sampled_from(_HUGE)), ""
    if form in ("rubbish", "huge"):
        names = st.sampled_from(_FIELDS) | _TEXT
        found = draw(st.dictionaries(names, _RUBBISH, max_size=5) | _RUBBISH)
        return json.dumps(found).encode(), ""
    body = draw(bodies[topic])
    owner = str(body[_OWNER_FIELD.get(topic, "record_id")]).lower()
    if form == "spoiled":
        name = draw(st.sampled_from(sorted(body)))
        if draw(st.booleans()):
            body[name] = draw(_RUBBISH)
        else:
            del body[name]
    raw = json.dumps(body, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    return (raw[: draw(st.integers(0, len(raw)))] if form == "cut" else raw), owner


_HEADER: Final = (
    st.none() | st.binary(max_size=12) | st.sampled_from((b"1", b"scan-jobs-0-1", b"9" * 20))
)


@st.composite
def _headers(draw: Any, topic: str) -> tuple[tuple[str, bytes | None], ...]:
    """Draw headers: mostly none, else those that the processor reads, with anything in them."""
    if topic == wire.SCAN_JOBS and draw(_SOMETIMES):
        return ((wire.REQUEST_ID, b"fuzz-%d" % draw(st.integers(0, 40))),)  # repeats, conflicts
    if not draw(_SOMETIMES):
        return ()
    names = (
        wire.CE_SOURCE, wire.CE_ID, wire.TRACEPARENT, wire.TRACESTATE, wire.MESSAGE_ID,
        wire.REROUTED_FROM, wire.REROUTED_TIME, wire.FENCING_TOKEN, wire.DEAD_CAUSE, wire.REQUEST_ID,
        "ü", "",
    )  # fmt: skip
    return tuple(draw(st.lists(st.tuples(st.sampled_from(names), _HEADER), max_size=3)))


@st.composite
def _inputs(draw: Any, bodies: dict[str, Any_], partitions: int) -> dict[str, Any]:
    topic = draw(st.sampled_from(INPUTS))
    value, owner = draw(_values(bodies, topic))
    key: bytes | None = owner.encode("utf-8", "surrogatepass")
    partition = partition_of(key or b"", partitions)
    if not owner or draw(_SOMETIMES):
        key = draw(st.none() | st.sampled_from((b"", b"mri-1", b"42", b"\xff\xfe")))
        partition = draw(st.integers(0, partitions - 1))
    headers = draw(_headers(topic))
    return {
        "topic": topic, "partition": partition, "key": key, "value": value, "headers": headers,
    }  # fmt: skip


def draw(
    number: str, examples: int, devices: Sequence[str], partitions: int
) -> list[dict[str, Any]]:
    """Draw messages: topic, partition, key, value and headers of each. `number` is the seed."""
    drawn: list[dict[str, Any]] = []

    @seed(number)
    @settings(
        max_examples=examples,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(_inputs(_bodies(devices), partitions))
    def take(one: dict[str, Any]) -> None:
        drawn.append(one)

    take()
    return drawn
