"""Every message that is written is read back as it was."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.device.state import RequestRow
from agents.record.state import FileRow, Original, ScanRow, WorkItem, WorkKind
from models import events, managers, results, scan, steps, workflow
from models.base import Message, rfc3339
from models.work import ParkedRow
from tests.unit.test_streams_fakes import make_inbound

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
NAME = st.from_regex(r"[A-Za-z0-9._:-]{1,40}", fullmatch=True)
DEVICE = st.from_regex(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,30}", fullmatch=True)
ID = st.integers(0, 2**63 - 1) | st.uuids().map(str) | st.integers(0, 10**6).map(str)
SHA256 = st.binary(min_size=32, max_size=32).map(bytes.hex)
SIZE = st.integers(0, 2**50)
LOCATION = TEXT.filter(bool)
TIME = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
)
MEDIA = st.just("application/dicom")
MEASURE = st.floats(allow_nan=False, allow_infinity=False)
XYZ = st.builds(scan.XYZ, X=MEASURE, Y=MEASURE, Z=MEASURE)
GENDER = st.none() | st.sampled_from(scan.Gender)
LIMITS = st.builds(
    scan.AcquisitionLimits,
    patient_height=MEASURE,
    patient_weight=MEASURE,
    gender=GENDER,
    patient_age=st.integers(0, 130),
)
FOV = st.builds(scan.SequenceParameters, fov=XYZ, fov_offset=XYZ)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | MEASURE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
SEQUENCE = st.dictionaries(TEXT, JSON, max_size=4)
MAP = st.dictionaries(TEXT, TEXT, max_size=3)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


JOB = st.builds(
    scan.ScanJob,
    job_id=ID,
    sequence_id=TEXT.filter(bool),
    workflow_id=maybe(ID),
    device_id=DEVICE,
    acquisition_limits=maybe(LIMITS),
    sequence_parameters=maybe(FOV),
    task_id=maybe(ID),
    priority=st.integers(-1000, 1000),
)
FILE = st.builds(
    results.ResultFile, location=LOCATION, size=SIZE, sha256=SHA256, media_type=maybe(MEDIA)
)
IDENTITY = st.builds(
    steps.ScanIdentity,
    record_id=ID,
    device_id=DEVICE,
    request_id=NAME,
    job_id=ID,
    workflow_id=maybe(ID),
    task_id=maybe(ID),
)
MESSAGES: dict[str, st.SearchStrategy[Message]] = {
    "ScanJob": JOB,
    "DeviceTask": st.builds(
        scan.DeviceTask,
        device_id=DEVICE,
        record_id=ID,
        command=st.sampled_from(scan.Command),
        parametrized_sequence=st.builds(
            scan.ParametrizedSequence,
            acquisition_limits=LIMITS,
            sequence_parameters=FOV,
            sequence=SEQUENCE,
        ),
    ),
    "ScanRequest": st.builds(scan.ScanRequest, record_id=ID, sequence=TEXT),
    "ScanStatus": st.builds(
        scan.ScanStatus,
        record_id=ID,
        status_percent=st.integers(0, 100),
        device_id=maybe(DEVICE),
        state=maybe(st.sampled_from(scan.StatusState)),
        message=maybe(TEXT),
        at=maybe(TIME),
    ),
    "ScanCommand": st.builds(
        scan.ScanCommand,
        command_id=NAME,
        command=st.sampled_from(scan.ScanCommandKind),
        device_id=DEVICE,
        record_id=maybe(ID),
        started=st.booleans(),
        reason=maybe(TEXT),
    ),
    "ScanEvent": st.builds(
        events.ScanEvent,
        event_id=NAME,
        event=st.sampled_from(events.EventKind),
        at=TIME,
        record_id=maybe(ID),
        state=maybe(st.sampled_from(events.ScanState)),
        percent=maybe(st.integers(0, 100)),
        files=maybe(
            st.builds(events.EventFile, location=LOCATION, size=SIZE, sha256=SHA256).map(
                lambda file: (file, file)
            )
        ),
    ),
    "ResultUpload": st.builds(
        results.ResultUpload,
        record_id=ID,
        upload_id=NAME,
        location=LOCATION,
        size=SIZE,
        sha256=SHA256,
        device_id=maybe(DEVICE),
        file_name=maybe(TEXT),
        media_type=maybe(MEDIA),
    ),
    "RecoJob": st.builds(
        results.RecoJob,
        record_id=ID,
        input=LOCATION,
        reco_job_id=NAME,
        request_id=NAME,
        sha256=SHA256,
        size=SIZE,
        output_dir=LOCATION,
    ),
    "RecoResult": st.builds(
        results.RecoResult,
        record_id=ID,
        reco_job_id=NAME,
        success=st.booleans(),
        files=st.lists(FILE, max_size=3).map(tuple),
        error=maybe(TEXT),
    ),
    "ResultRequest": st.builds(
        results.ResultRequest,
        request_id=NAME,
        record_id=ID,
        what=st.sampled_from(results.What),
        sop_instance_uid=maybe(st.just("1.2.3")),
    ),
    "AnswerEnd": st.builds(results.AnswerEnd, sha256=SHA256, size=SIZE),
    "TaskEvent": st.builds(workflow.TaskEvent, task_id=ID, input=MAP),
    "TaskCompletion": st.builds(
        workflow.TaskCompletion,
        task_id=ID,
        workflow_id=maybe(ID),
        success=st.booleans(),
        artifacts=maybe(MAP),
    ),
    "WorkflowRequest": st.builds(
        workflow.WorkflowRequest,
        workflow_id=ID,
        type=st.sampled_from(workflow.WorkflowRequestKind),
    ),
    "DeviceStep": st.builds(
        steps.DeviceStep,
        kind=st.sampled_from(steps.DeviceStepKind),
        device_id=DEVICE,
        name=TEXT,
        version=st.integers(0, 10**6),
    ),
    "RecordStep": st.builds(
        steps.RecordStep,
        kind=st.sampled_from(steps.RecordStepKind),
        record_id=ID,
        scan=maybe(IDENTITY),
        state=maybe(st.sampled_from(events.ScanState)),
        born_ms=maybe(st.integers(0, 2**45)),
    ),
    "WorkflowStep": st.builds(
        steps.WorkflowStep,
        kind=st.sampled_from(steps.WorkflowStepKind),
        workflow_id=ID,
        record_id=maybe(ID),
        state=maybe(st.sampled_from(events.ScanState)),
        version=st.integers(0, 10**6),
    ),
    "RequestRow": st.builds(
        RequestRow,
        stage=st.sampled_from(events.ScanState),
        origin=TEXT,
        body_sha256=SHA256,
        born_ms=st.integers(0, 2**45),
        order=NAME,
        job=JOB,
        request_id=NAME,
        record_id=maybe(ID),
    ),
    "ParkedRow": st.builds(ParkedRow, request_id=NAME, reason=TEXT, due_ms=maybe(SIZE)),
    "ScanRow": st.builds(
        ScanRow,
        scan=IDENTITY,
        state=st.sampled_from(events.ScanState),
        times=st.dictionaries(st.sampled_from(events.ScanState), SIZE, max_size=4),
        percent=maybe(st.integers(0, 100)),
    ),
    "FileRow": st.builds(FileRow, location=LOCATION, size=SIZE, sha256=SHA256),
}


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=25)
@given(data=st.data())
def test_a_message_comes_back_as_it_went(name: str, data: st.DataObject) -> None:
    message = data.draw(MESSAGES[name])
    assert type(message).__name__ == name
    assert type(message).from_bytes(message.to_bytes()) == message


def test_hardly_any_message_is_left_out() -> None:
    here = {scan, events, results, workflow, steps}
    written = {
        name
        for module in here
        for name, made in vars(module).items()
        if isinstance(made, type)
        and issubclass(made, Message)
        and made.__module__ == module.__name__
    }
    parts = {
        "AcquisitionLimits", "SequenceParameters", "XYZ", "ParametrizedSequence", "EventFile",
        "ResultFile", "FileFacts", "ScanFacts", "AnswerMetadata", "ScanIdentity", "FoundFile",
        "Failure", "WorkflowResponse",
    }  # fmt: skip
    assert written - parts <= set(MESSAGES)


@given(value=st.binary(max_size=300), key=st.binary(min_size=1, max_size=20), header=st.binary())
def test_a_kept_message_comes_back_byte_by_byte(value: bytes, key: bytes, header: bytes) -> None:
    headers = (("a", header), ("a", None), ("b", b""))
    inbound = make_inbound(value, key=key, headers=headers)
    row = WorkItem(kind=WorkKind.EARLY, original=Original.of(inbound))
    original = WorkItem.from_bytes(row.to_bytes()).original
    assert original is not None
    assert original.inbound() == inbound


@given(TIME, st.integers(-14, 14))
def test_times_are_written_in_utc_with_a_z(moment: datetime, hours: int) -> None:
    text = rfc3339(moment.astimezone(timezone(timedelta(hours=hours))))
    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == moment


def test_fields_that_are_none_are_left_out() -> None:
    assert scan.ScanStatus(record_id=1, status_percent=5).to_bytes() == (
        b'{"record_id":1,"status_percent":5}'
    )


def test_an_errors_text_is_taken_and_its_list_is_not() -> None:
    assert managers.ErrorAnswer.from_bytes(b'{"detail": "%s"}' % (b"x" * 900)).detail == "x" * 500
    assert managers.ErrorAnswer.from_bytes(b'{"detail": [{"input": "Anna"}]}').detail is None


def test_a_token_is_not_shown() -> None:
    answer = managers.LoginAnswer(username="u", role="r", access_token="t0k3n", token_type="b")
    assert "t0k3n" not in repr(answer)
