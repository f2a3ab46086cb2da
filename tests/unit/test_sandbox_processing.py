"""The simulated processing service: each order once, and always an answer."""

from pathlib import Path
from uuid import uuid4

import numpy as np
import pydicom
import pytest

from models.workflow import TaskEvent
from sandbox.processing.worker import Service, denoised
from sandbox.reconstruction.dicom import dicom_file

PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4) * 100


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "lake" / "records" / "7"
    folder.mkdir(parents=True)
    (folder / "image.dcm").write_bytes(dicom_file(PIXELS, str(uuid4())))
    return tmp_path / "lake"


def order(task: str, location: str = "records/7/image.dcm") -> TaskEvent:
    return TaskEvent(task_id=task, input={"input": location, "record_id": "7"})


def test_the_image_is_denoised_beside_its_input(lake: Path) -> None:
    task = str(uuid4())
    answer = Service(lake).answer(order(task), "m", certified=True)
    assert answer.success
    assert answer.artifacts == {"input": f"records/7/denoised-{task}.dcm"}
    made = pydicom.dcmread(lake / "records" / "7" / f"denoised-{task}.dcm")
    assert np.array_equal(made.pixel_array, denoised(PIXELS))
    assert denoised(np.full((2, 2), 9, dtype=np.uint16)).tolist() == [[9, 9], [9, 9]]


def test_one_that_is_to_fail_fails_once_and_its_repeats_with_it(lake: Path) -> None:
    task = str(uuid4())
    service = Service(lake, [task.upper()])
    tried = [service.answer(order(task), name, certified=True) for name in ("m1", "m1", "m2", "m2")]
    assert [answer.success for answer in tried] == [False, False, True, True]
    assert tried[0] is tried[1]


@pytest.mark.parametrize(
    "location", ["../secret.dcm", "records/7/none.dcm", "records/7/link.dcm", ""]
)
def test_what_can_not_be_read_is_answered(lake: Path, location: str) -> None:
    (lake.parent / "secret.dcm").write_bytes(dicom_file(PIXELS, str(uuid4())))
    (lake / "records" / "7" / "link.dcm").symlink_to(lake.parent / "secret.dcm")
    answer = Service(lake).answer(order(str(uuid4()), location), "m", certified=True)
    assert not answer.success
    assert answer.error


def test_only_certified_orders_are_done(lake: Path) -> None:
    assert not Service(lake).answer(order(str(uuid4())), "m", certified=False).success
