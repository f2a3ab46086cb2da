import json

import pytest

from commands.base import CommandError, Exit
from commands.jobs import read_jobs

JOB = {
    "id": 17,
    "sequence_id": "64e5d2a0f1c2b3a4d5e6f708",
    "device_id": "scanner-1",
    "acquisition_limits": {"patient_height": 178, "patient_weight": 70, "patient_age": 42},
}
METRES = {"patient_height": 1.78, "patient_weight": 70, "patient_age": 42}


def _raw(value: object) -> bytes:
    return json.dumps(value).encode()


def _refusal(raw: bytes) -> str:
    with pytest.raises(CommandError) as caught:
        read_jobs(raw)
    assert caught.value.code is Exit.ERROR
    return str(caught.value)


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        pytest.param(_raw(JOB), 1, id="one object"),
        pytest.param(b"\xef\xbb\xbf" + _raw(JOB), 1, id="with a byte order mark"),
        pytest.param(json.dumps(JOB, indent=2).encode(), 1, id="over several lines"),
        pytest.param(_raw([JOB, JOB]), 2, id="an array"),
        pytest.param(_raw(JOB) + b"\n\n" + _raw(JOB) + b"\n", 2, id="one on each line"),
    ],
)
def test_jobs_are_read_in_each_form(raw: bytes, count: int) -> None:
    jobs = read_jobs(raw)
    assert [(job.job_id, job.device_id) for job in jobs] == [(17, "scanner-1")] * count


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "not JSON (line 1, column 1"),
        (b"[]", "no scan job"),
        (b"\xff", "UTF-8"),
        (b'{"id": }', "not JSON (line 1, column 8"),
        (_raw(JOB) + b"\n{", "line 2 of the input is not JSON"),
        (b"[" * 100_000, "not JSON that can be read"),
        (b"17", "value: "),
        (_raw({**JOB, "device_id": None}), "device_id: string_type"),
        (_raw([JOB, {**JOB, "id": True}]), "job 2: "),
        (_raw({**JOB, "acquisition_limits": METRES}), "outside of 20 to 260 cm"),
    ],
)
def test_what_is_wrong_is_said(raw: bytes, told: str) -> None:
    assert told in _refusal(raw)


def test_no_value_is_ever_shown() -> None:
    limits = {"patient_height": 178, "patient_weight": "SECRET", "patient_age": 42, "SECRET": 1}
    told = _refusal(_raw({**JOB, "acquisition_limits": limits}))
    assert "acquisition_limits.patient_weight" in told
    assert "SECRET" not in told


def test_one_wrong_job_stops_all() -> None:
    assert "nothing was sent" in _refusal(_raw([JOB, JOB, {}]))
