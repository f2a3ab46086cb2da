"""What is told of a bad message never holds what was in it (promise 8)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from models.base import Message, explain
from models.managers import Task
from models.results import RecoResult
from models.scan import AcquisitionLimits, DeviceTask, ScanCommand, ScanJob, ScanStatus
from models.workflow import TaskCompletion, TaskEvent

PLANTED = "Zq7Muster"


def told(model: type[BaseModel], value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return explain(caught.value)


def explanation(model: type[Message], raw: bytes) -> str:
    try:
        model.from_bytes(raw)
    except ValidationError as error:
        return explain(error, most=100)
    return ""


def test_it_tells_which_field_and_what_is_wrong_with_it() -> None:
    value = {"record_id": 1, "status_percent": 101, "state": PLANTED}
    text = told(ScanStatus, value)
    assert "status_percent: less_than_equal" in text
    assert "state: enum" in text
    assert told(ScanStatus, 5) == "value: model_type"


def test_nested_fields_are_told_with_their_place() -> None:
    limits = {"patient_height": PLANTED, "patient_weight": 1, "patient_age": 2, "Gender": PLANTED}
    text = told(
        ScanJob, {"id": 1, "sequence_id": "s", "device_id": "d", "acquisition_limits": limits}
    )
    assert "acquisition_limits.patient_height: a measure is a number" in text
    assert "acquisition_limits.Gender: enum" in text


def test_no_more_than_five_are_told_and_the_rest_counted() -> None:
    files = [{"location": "x"}] * 10
    text = told(RecoResult, {"record_id": 1, "reco_job_id": "r", "success": True, "files": files})
    assert text.count(";") == 5
    assert text.endswith("and 15 more")


MODELS: list[type[Message]] = [
    ScanJob,
    ScanStatus,
    ScanCommand,
    DeviceTask,
    RecoResult,
    TaskCompletion,
    TaskEvent,
    AcquisitionLimits,
    Task,
]


@pytest.mark.parametrize("model", MODELS)
def test_no_planted_value_is_told(model: type[Message]) -> None:
    bad: list[Any] = [PLANTED, {PLANTED: PLANTED}, [PLANTED], {PLANTED: [PLANTED]}]
    for one in bad:
        value = {(field.alias or name): one for name, field in model.model_fields.items()}
        for raw in (json.dumps({**value, PLANTED: PLANTED}), json.dumps(one)):
            assert PLANTED not in explanation(model, raw.encode())


@given(st.text("abcdefghijklmnopqrstuvwxyz_", min_size=5, max_size=30))
def test_no_key_that_a_sender_chose_is_told(key: str) -> None:
    fields = {"task_id", "input", "artifacts", "value", "string_type", "key", "int", "str"}
    if any(key in field for field in fields):
        return
    assert key not in told(TaskCompletion, {"task_id": 1, "artifacts": {key: 5}})
    assert key not in told(TaskEvent, {"task_id": 1, "input": {key: None}})
