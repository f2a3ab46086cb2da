"""The device aggregate's decisions: new or seen, sent or refused, started or not known."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from agents.device import decide
from agents.device.decide import Arrival, arrival
from agents.device.state import RequestRow, request_key
from models.base import canonical
from models.errors import PermanentError, ScanHubError, TransientError
from models.events import ScanState
from models.managers import Record
from models.scan import Command, DeviceTask, ParametrizedSequence, ScanJob
from settings import DeviceDialect, RecordsDialect
from streams.inbound import Inbound
from tests.unit.test_models_roundtrip import ID, JOB, SEQUENCE
from tests.unit.test_streams_fakes import NOON_MS, make_inbound

LIMITS: dict[str, Any] = {"patient_height": 178.0, "patient_weight": 74.5, "patient_age": 41}
ONES = {"X": 1, "Y": 1, "Z": 1}
FOV: dict[str, Any] = {"fov": ONES, "fov_offset": ONES}
BODY: dict[str, Any] = {
    "id": 7,
    "sequence_id": "65a1b2c3d4e5f60718293a4b",
    "device_id": "d",
    "acquisition_limits": LIMITS,
    "sequence_parameters": FOV,
}


def job(**fields: Any) -> ScanJob:
    return ScanJob.model_validate({**BODY, **fields})


def came(body: dict[str, Any] | None = None, **place: Any) -> Inbound:
    headers = place.pop("headers", (("request-id", b"r-1"),))
    return make_inbound(json.dumps(body or BODY).encode(), headers=headers, **place)


def row(**fields: Any) -> RequestRow:
    accepted = decide.accept(came(), fields.pop("job", job()))
    return accepted.model_copy(update=fields)


def test_what_was_never_seen_is_new() -> None:
    assert arrival(None, "scan-jobs-0-7", "any") is Arrival.NEW


@pytest.mark.parametrize(
    ("same_origin", "same_body", "expected"),
    [
        (True, True, Arrival.AGAIN),
        (True, False, Arrival.AGAIN),
        (False, True, Arrival.REPEATED),
        (False, False, Arrival.CONFLICT),
    ],
)
def test_what_was_seen_is_told_by_its_origin_and_its_body(
    expected: Arrival, *, same_origin: bool, same_body: bool
) -> None:
    known = row()
    second = came(BODY if same_body else {**BODY, "id": 8}, offset=7 if same_origin else 8)
    assert arrival(known, second.origin, second.body_sha256) is expected


def test_an_acceptance_row_remembers_what_a_resumption_needs() -> None:
    headers = (("request-id", b"r-1"), ("traceparent", b"00-ab"), ("tracestate", b"\xffx" * 600))
    inbound = came(headers=headers, offset=12)
    accepted = decide.accept(inbound, job())
    assert accepted.stage is ScanState.ACCEPTED
    assert (accepted.origin, accepted.born_ms) == ("scan-jobs-0-12", NOON_MS)
    assert (accepted.request_id, accepted.attempt, accepted.starts) == ("r-1", 1, 0)
    assert dict(accepted.trace)["traceparent"] == b"00-ab"
    assert len(accepted.tracestate or "") <= 512
    assert RequestRow.from_bytes(accepted.to_bytes()) == accepted


def test_rows_sort_in_the_order_in_which_jobs_came() -> None:
    places = [(NOON_MS, 9), (NOON_MS, 10), (NOON_MS, 100), (NOON_MS + 1, 2), (10 * NOON_MS, 1)]
    orders = [decide.accept(came(timestamp_ms=t, offset=o), job()).order for t, o in places]
    assert orders == sorted(orders)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "metres": ({"acquisition_limits": {**LIMITS, "patient_height": 1.78}}, "patient_height"),
    "grams": ({"acquisition_limits": {**LIMITS, "patient_weight": 74_500}}, "patient_weight"),
    "nobody so old": ({"acquisition_limits": {**LIMITS, "patient_age": 131}}, "patient_age"),
    "no number": (
        {"acquisition_limits": {**LIMITS, "patient_weight": float("nan")}},
        "patient_weight",
    ),
    "no view": ({"sequence_parameters": {**FOV, "fov": {**ONES, "Z": 0}}}, "field of view"),
    "endless": (
        {"sequence_parameters": {**FOV, "fov_offset": {**ONES, "X": float("inf")}}},
        "finite",
    ),
}


@pytest.mark.parametrize("dialect", DeviceDialect)
@pytest.mark.parametrize("case", REFUSED)
def test_numbers_that_are_wrong_are_sent_to_no_device(case: str, dialect: DeviceDialect) -> None:
    fields, word = REFUSED[case]
    problem = decide.refuse(job(**fields), records=RecordsDialect.INTEGER, dialect=dialect)
    assert problem is not None
    assert word in problem
    assert "1.78" not in problem
    assert "74" not in problem


@pytest.mark.parametrize("name", ["acquisition_limits", "sequence_parameters"])
def test_what_a_dialect_needs_is_never_invented(name: str) -> None:
    without = job(**{name: None})
    integer = RecordsDialect.INTEGER
    needed = decide.refuse(without, records=integer, dialect=DeviceDialect.TASK)
    assert needed is not None
    assert name in needed
    assert decide.refuse(without, records=integer, dialect=DeviceDialect.REQUEST) is None


@pytest.mark.parametrize(
    ("records", "job_id", "fine"),
    [
        (RecordsDialect.INTEGER, 7, True),
        (RecordsDialect.INTEGER, "7", True),
        (RecordsDialect.INTEGER, "7a742631-eea0-4044-8c8a-ffa1a094631b", False),
        (RecordsDialect.UUID, "7A742631-EEA0-4044-8C8A-FFA1A094631B", True),
        (RecordsDialect.UUID, 7, False),
        (RecordsDialect.TASK, 7, True),
        (RecordsDialect.TASK, "7a742631-eea0-4044-8c8a-ffa1a094631b", True),
    ],
)
def test_ids_are_checked_by_shape_before_anybody_is_asked(
    records: RecordsDialect, job_id: int | str, *, fine: bool
) -> None:
    problem = decide.refuse(job(id=job_id), records=records, dialect=DeviceDialect.TASK)
    assert (problem is None) is fine


@pytest.mark.parametrize(("age_ms", "old"), [(0, False), (900_000, False), (900_001, True)])
def test_a_job_is_too_old_after_its_time(age_ms: int, *, old: bool) -> None:
    assert decide.too_old(NOON_MS, NOON_MS + age_ms, 900.0) is old


def record(record_id: int | str, created: str, comment: str | None) -> Record:
    return Record(id=record_id, datetime_created=created, comment=comment)


def test_of_several_records_the_earliest_and_then_the_lowest_is_ours() -> None:
    mine = decide.record_comment(row())
    records = [
        record(30, "2024-01-02T00:00:00", mine),
        record(100, "2024-01-01T00:00:00", mine),
        record(20, "2024-01-01T00:00:00", f"told: {mine} and more"),
        record(1, "2023-01-01T00:00:00", "somebody else's"),
        record(2, "2023-01-01T00:00:00", None),
        record(3, "no time", mine),
    ]
    picked = decide.pick_record(records, row())
    assert picked is not None
    assert picked.id == 20
    assert decide.pick_record(list(reversed(records)), row()) == picked
    assert decide.pick_record(records[3:5], row()) is None
    assert decide.pick_record([], row()) is None


def test_the_same_request_id_of_another_device_is_another_request() -> None:
    other = row(job=job(device_id="e"))
    assert decide.record_mark(other) != decide.record_mark(row())
    assert request_key("d", "r") != request_key("e", "r")
    theirs = record(1, "2024-01-01T00:00:00", decide.record_comment(other))
    assert decide.pick_record([theirs], row()) is None


def test_a_request_id_that_begins_like_ours_is_not_ours() -> None:
    theirs = record(1, "", decide.record_comment(row(request_id="r-11")))
    assert decide.pick_record([theirs], row()) is None


@settings(max_examples=150, deadline=None)
@given(job=JOB, record_id=ID, sequence=SEQUENCE)
def test_a_device_task_is_what_the_model_says(
    job: ScanJob, record_id: int | str, sequence: dict[str, Any]
) -> None:
    text = orjson.dumps(sequence)
    spliced = decide.device_task(row(job=job, record_id=record_id), text)
    expected = DeviceTask(
        device_id=job.device_id,
        record_id=record_id,
        command=Command.START,
        parametrized_sequence=ParametrizedSequence(
            acquisition_limits=job.acquisition_limits,
            sequence_parameters=job.sequence_parameters,
            sequence=sequence,
        ),
    )
    assert DeviceTask.from_bytes(spliced) == expected
    assert text in spliced
    written = json.loads(spliced)
    told = json.loads(expected.to_bytes())
    for name in ("acquisition_limits", "sequence_parameters"):
        told["parametrized_sequence"].setdefault(name, None)
    assert written == told
    assert type(written["record_id"]) is type(record_id)
    assert canonical(written["record_id"]) == canonical(record_id)


ANSWERS: list[tuple[ScanHubError | None, ScanState]] = [
    (None, ScanState.STARTED),
    (TransientError("connection refused", sent=False), ScanState.READY),
    (PermanentError("redirected", status=302), ScanState.FAILED),
    (PermanentError("not found", status=404), ScanState.FAILED),
    (TransientError("server error", status=500), ScanState.UNKNOWN),
    (TransientError("accepted, perhaps", status=202), ScanState.UNKNOWN),
    (TransientError("no answer in time"), ScanState.UNKNOWN),
    (ScanHubError("something else"), ScanState.UNKNOWN),
]


@pytest.mark.parametrize(("error", "state"), ANSWERS)
def test_what_a_devices_answer_means(error: ScanHubError | None, state: ScanState) -> None:
    outcome = decide.start_outcome(error)
    assert outcome.state is state
    assert (outcome.cause is None) is (error is None)
    assert str(error or "") in (outcome.cause or "")
    assert (outcome.advice is not None) is (state is ScanState.UNKNOWN)
