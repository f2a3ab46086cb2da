"""Every example of the contracts that our models stand for is read by them, and written back."""

import json
from typing import Any

import pytest

from models import managers, results, scan, workflow
from models.base import Message
from tests.contracts.openapi import FOLDER, contract, example

MODELS: dict[str, type[Message]] = {
    "device-ip-address": managers.DeviceAddress,
    "device-out": managers.Device,
    "sequence-out": managers.MRISequence,
    "record-create-request": managers.RecordIn,
    "record-create-request-uuid": managers.RecordIn,
    "record-out": managers.Record,
    "record-out-uuid": managers.Record,
    "record-update-request": managers.RecordUpdate,
    "login-response": managers.LoginAnswer,
    "task-out": managers.Task,
    "task-update-request": managers.Task,
    "workflow-out": managers.Workflow,
    "scan-job": scan.ScanJob,
    "scan-job-uuid": scan.ScanJob,
    "scan-request": scan.ScanRequest,
    "scan-status": scan.ScanStatus,
    "scan-status-2023": scan.ScanStatus,
    "device-task": scan.DeviceTask,
    "device-task-sequence-as-text": scan.DeviceTask,
    "task-event": workflow.TaskEvent,
    "task-completion": workflow.TaskCompletion,
    "task-completion-failed": workflow.TaskCompletion,
    "task-completion-event-2024-08": workflow.TaskCompletion,
    "workflow-request-start": workflow.WorkflowRequest,
    "workflow-request-status": workflow.WorkflowRequest,
    "workflow-response": workflow.WorkflowResponse,
    "workflow-response-unknown": workflow.WorkflowResponse,
}
ADDED: dict[str, dict[str, Any]] = {
    "scan-job": {"priority": 0},
    "workflow-response": {"reasons": [], "notes": []},
}
"""What we write beside the contracts' fields, by how the example's name begins."""
ERRORS = sorted(path.stem for path in (FOLDER / "examples").glob("error-*.json"))
ONE_WAY = {
    "login-response",  # holds fields of a user that we leave alone
    "device-out",  # its times are nothing to us
    "task-update-request",  # what is sent has no id; the model is what is read
    "device-task-sequence-as-text",  # written as an object, as upstream does
    "task-completion-event-2024-08",  # `success` is the later form
    "workflow-response",
}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_example_is_read_and_written_back(name: str) -> None:
    given = example(name)
    if name == "task-update-request":
        given |= {"id": example("task-out")["id"], "datetime_created": ""}
    message = MODELS[name].from_bytes(json.dumps(given).encode())
    if name not in ONE_WAY:
        added = next((more for start, more in ADDED.items() if name.startswith(start)), {})
        assert json.loads(message.to_bytes()) == _without_null(given) | added
    assert MODELS[name].from_bytes(message.to_bytes()) == message


def test_lists_are_read_item_by_item() -> None:
    records = [managers.Record.model_validate(item) for item in example("record-list")]
    assert [record.id for record in records] == [42]
    tasks = [managers.Task.model_validate(item) for item in example("task-list")]
    assert [task.type for task in tasks] == [
        "DEVICE_TASK",
        "PROCESSING_TASK",
        "CERTIFIED_PROCESSING_TASK",
    ]


def test_both_forms_of_a_sequence_are_one() -> None:
    as_object = scan.DeviceTask.model_validate(example("device-task"))
    as_text = scan.DeviceTask.model_validate(example("device-task-sequence-as-text"))
    assert as_object == as_text


def test_a_device_task_as_we_write_it_is_the_contracts() -> None:
    task = scan.DeviceTask.model_validate(example("device-task"))
    contract("device").validate_as("DeviceTask", json.loads(task.to_bytes()))


def test_our_reco_job_holds_what_the_existing_worker_reads() -> None:
    given = example("reco-job")
    job = results.RecoJob(
        **given, reco_job_id="j", request_id="r", sha256="0" * 64, size=1, output_dir="records/42"
    )
    assert json.loads(job.to_bytes()).items() >= given.items()


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_read_and_only_text_is_kept(name: str) -> None:
    given = example(name)["detail"]
    kept = managers.ErrorAnswer.model_validate(example(name)).detail
    assert kept == (given if isinstance(given, str) else None)


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return [_without_null(item) for item in value] if isinstance(value, list) else value
