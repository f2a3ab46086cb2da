from hashlib import sha256
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from models.events import ScanState
from models.results import FileFacts, ScanFacts
from sandbox.demo.answer import Fetched
from sandbox.demo.folders import FolderError, folders
from sandbox.demo.image import WrongImageError, check_image
from sandbox.demo.picture import draw
from sandbox.demo.plan import Planned, make_plan
from sandbox.phantom import phantom, seed_of
from sandbox.reconstruction.dicom import dicom_file

PLANNED = make_plan(1, 1)[0]
RECORDS = range(1, 7)


def fetched(record: int, planned: Planned = PLANNED, side: int | None = None) -> Fetched:
    """An image of a record's phantom, as it would come through Kafka."""
    side = planned.matrix if side is None else side
    pixels = np.rint(phantom(side, side, seed_of(record)) * 4095).astype(np.uint16)
    content = dicom_file(pixels, str(uuid4()))
    uid = str(dcmread(BytesIO(content)).SOPInstanceUID)
    file = FileFacts(
        name="a.dcm",
        size=len(content),
        sha256=sha256(content).hexdigest(),
        media_type="application/dicom",
        sop_instance_uid=uid,
    )
    told = ScanFacts(state=ScanState.COMPLETED, job_id=planned.job_id, device_id=planned.device_id)
    return Fetched(content, file, told)


def test_a_records_own_image_matches() -> None:
    found = check_image(PLANNED, 3, fetched(3), RECORDS)
    assert found.correlation > 0.999
    assert found.runner_up < found.correlation


@pytest.mark.parametrize("other", [r for r in RECORDS if r != 3])
def test_another_records_image_is_noticed(other: int) -> None:
    with pytest.raises(WrongImageError, match="does not match"):
        check_image(PLANNED, 3, fetched(other), RECORDS)


def test_an_image_of_another_sequence_is_noticed() -> None:
    with pytest.raises(WrongImageError, match="its sequence measures"):
        check_image(PLANNED, 3, fetched(3, side=PLANNED.matrix * 2), RECORDS)


def test_an_answer_of_another_job_is_noticed() -> None:
    other = make_plan(2, 2)[1]
    with pytest.raises(WrongImageError, match="another job"):
        check_image(PLANNED, 3, fetched(3, other), RECORDS)


def test_what_is_no_dicom_is_noticed() -> None:
    good = fetched(3)
    with pytest.raises(WrongImageError, match="no DICOM"):
        check_image(PLANNED, 3, Fetched(b"no image", good.file, good.scan), RECORDS)


@pytest.mark.parametrize("count", [1, 6, 8])
def test_the_picture_holds_every_image(tmp_path: Path, count: int) -> None:
    images = [check_image(PLANNED, 3, fetched(3), RECORDS)] * count
    draw(images, tmp_path / "images.png")
    with Image.open(tmp_path / "images.png") as picture:
        white = sum(pixel == 255 for pixel in picture.convert("L").tobytes())
        narrow = picture.width
    draw(images[:1], tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        assert narrow >= picture.width
        one = sum(pixel == 255 for pixel in picture.convert("L").tobytes())
    assert white == pytest.approx(one * count, rel=0.05)


def test_old_logs_go_and_a_strangers_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker.log").touch()
    (tmp_path / "logs" / "notes.txt").touch()
    with folders(tmp_path, keep=False) as where:
        assert where.work.is_dir()
        assert [path.name for path in where.logs.iterdir()] == ["notes.txt"]
    assert not where.work.exists()

    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").touch()
    with pytest.raises(FolderError), folders(tmp_path, keep=True):
        pass
    assert (tmp_path / "work" / "thesis.txt").exists()


def test_kept_work_is_begun_anew(tmp_path: Path) -> None:
    for _ in range(2):
        with folders(tmp_path, keep=True) as where:
            assert not (where.work / "old").exists()
            (where.work / "old").touch()
    assert (where.work / "old").exists()
