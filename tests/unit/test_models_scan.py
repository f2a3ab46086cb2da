"""The quirks of the contracts around a scan, and promise 10's limits."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.scan import (
    AcquisitionLimits,
    DeviceTask,
    Gender,
    ScanCommand,
    ScanJob,
    ScanStatus,
    SequenceParameters,
)

JOB: dict[str, Any] = {"id": 7, "sequence_id": "s", "device_id": "d"}
LIMITS: dict[str, Any] = {
    "patient_height": 178.0,
    "patient_weight": 74.5,
    "Gender": "FEMALE",
    "patient_age": 41,
}
FOV: dict[str, Any] = {
    "fov": {"X": 220.0, "Y": 220.0, "Z": 5.0},
    "fov_offset": {"X": 0.0, "Y": -12.5, "Z": 30.0},
}


def job(**fields: Any) -> ScanJob:
    return ScanJob.from_bytes(json.dumps({**JOB, **fields}).encode())


def limits(**fields: Any) -> AcquisitionLimits:
    return AcquisitionLimits.from_bytes(json.dumps({**LIMITS, **fields}).encode())


def with_sequence(sequence: Any) -> DeviceTask:
    body = {
        "device_id": "d",
        "record_id": 1,
        "command": "START",
        "parametrized_sequence": {
            "acquisition_limits": LIMITS,
            "sequence_parameters": FOV,
            "sequence": sequence,
        },
    }
    return DeviceTask.from_bytes(json.dumps(body).encode())


def test_a_jobs_id_has_two_names_and_goes_out_as_id() -> None:
    other = ScanJob.from_bytes(b'{"job_id": 7, "sequence_id": "s", "device_id": "d"}')
    assert other == job()
    assert json.loads(job().to_bytes()) == {**JOB, "priority": 0}
    assert job(job_id=8).job_id == 7


def test_unknown_fields_are_tolerated_and_not_carried_on() -> None:
    assert job(colour="green", acquisition={"a": 1}) == job()
    assert b"colour" not in job(colour="green").to_bytes()


@pytest.mark.parametrize(
    "fields",
    [
        {"id": True},
        {"id": None},
        {"workflow_id": False},
        {"task_id": 1.5},
        {"sequence_id": ""},
        {"device_id": ""},
        {"device_id": "a\nb"},
        {"device_id": "a\x00b"},
        {"device_id": "x" * 257},
        {"priority": 10**6},
    ],
)
def test_a_misshapen_job_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        job(**fields)


def test_the_gender_has_a_capital_letter_and_may_be_missing() -> None:
    assert limits().gender is Gender.FEMALE
    assert json.loads(limits().to_bytes()) == LIMITS
    without = {key: value for key, value in LIMITS.items() if key != "Gender"}
    missing = AcquisitionLimits.from_bytes(json.dumps(without).encode())
    assert missing.gender is None
    assert json.loads(missing.to_bytes()) == without
    ignored = AcquisitionLimits.from_bytes(json.dumps({**without, "patient_gender": 5}).encode())
    assert ignored == missing
    for wrong in ("female", "W", "", 1):
        with pytest.raises(ValidationError):
            limits(Gender=wrong)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"patient_height": 20},
        {"patient_height": 260},
        {"patient_weight": 0.3},
        {"patient_weight": 400},
        {"patient_age": 0},
        {"patient_age": 130},
    ],
)
def test_what_lies_within_the_limits_may_be_sent(fields: dict[str, Any]) -> None:
    assert limits(**fields).problem() is None


OUTSIDE: list[tuple[str, float]] = [
    ("patient_height", 1.78),  # metres
    ("patient_height", 19.99),
    ("patient_height", 260.1),
    ("patient_height", -178),
    ("patient_weight", 0.29),
    ("patient_weight", 400.1),
    ("patient_weight", 74_500),  # grams
    ("patient_age", -1),
    ("patient_age", 131),
    *((name, x) for name in ("patient_height", "patient_weight") for x in (math.nan, math.inf)),
]


@pytest.mark.parametrize(("name", "value"), OUTSIDE)
def test_what_lies_outside_is_told_by_its_field_without_its_value(name: str, value: float) -> None:
    problem = limits(**{name: value}).problem()
    assert problem is not None
    assert problem.startswith(name)
    assert str(value) not in problem.replace("0.3 to 400", "").replace("20 to 260", "")


@given(
    st.floats(20, 260),
    st.floats(0.3, 400),
    st.integers(0, 130),
)
def test_all_that_lies_within_goes_out_as_it_came(height: float, weight: float, age: int) -> None:
    one = limits(patient_height=height, patient_weight=weight, patient_age=age)
    assert one.problem() is None
    sent = json.loads(one.to_bytes())
    assert (sent["patient_height"], sent["patient_weight"], sent["patient_age"]) == (
        height,
        weight,
        age,
    )


@pytest.mark.parametrize("name", ["patient_height", "patient_weight", "patient_age"])
def test_true_is_no_measure(name: str) -> None:
    # `true` as 1 kg or one year would be an invented limit (promise 10).
    with pytest.raises(ValidationError):
        limits(**{name: True})


def test_true_is_no_field_of_view() -> None:
    with pytest.raises(ValidationError):
        SequenceParameters.model_validate_json(
            json.dumps({**FOV, "fov": dict.fromkeys("XYZ", True)})
        )


@pytest.mark.parametrize(
    ("part", "axis", "value"),
    [
        ("fov", "X", 0),
        ("fov", "Y", -1),
        ("fov", "Z", 0),
        ("fov", "Z", math.nan),
        ("fov", "X", math.inf),
        ("fov_offset", "Y", math.nan),
        ("fov_offset", "Z", -math.inf),
    ],
)
def test_a_field_of_view_that_no_scanner_takes(part: str, axis: str, value: float) -> None:
    body = {**FOV, part: {**FOV[part], axis: value}}
    assert SequenceParameters.from_bytes(json.dumps(body).encode()).problem() is not None
    assert job(sequence_parameters=body).problem() is not None


def test_a_field_of_view_with_an_offset_of_any_sign_is_fine() -> None:
    assert SequenceParameters.from_bytes(json.dumps(FOV).encode()).problem() is None
    assert job(sequence_parameters=FOV, acquisition_limits=LIMITS).problem() is None
    assert job().problem() is None


def test_the_sequence_is_an_object_or_its_text() -> None:
    sequence = {"_id": "65a1", "file": "# Pulseq\r\n", "tags": ["\u00e4"]}
    assert with_sequence(sequence) == with_sequence(json.dumps(sequence))
    for wrong in ("", "no json", "[1]", '"text"', "1", 5, None, [1]):
        with pytest.raises(ValidationError):
            with_sequence(wrong)


def test_a_status_is_a_percentage() -> None:
    for percent in (0, 100):
        assert ScanStatus(record_id=1, status_percent=percent).status_percent == percent
    for wrong in (-1, 101, 12.5, "many", None):
        with pytest.raises(ValidationError):
            ScanStatus.model_validate({"record_id": 1, "status_percent": wrong})


def test_a_status_with_too_much_text_is_refused() -> None:
    ScanStatus(record_id=1, status_percent=1, message="x" * 500)
    with pytest.raises(ValidationError):
        ScanStatus(record_id=1, status_percent=1, message="x" * 501)


def test_a_confirmation_says_whether_it_started() -> None:
    body = {"command_id": "c", "command": "CONFIRM", "device_id": "d"}
    with pytest.raises(ValidationError):
        ScanCommand.model_validate(body)
    assert ScanCommand.model_validate({**body, "started": False}).started is False
    assert ScanCommand.model_validate({**body, "command": "STOP"}).started is None
