import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from models.results import RecoJob, RecoResult
from sandbox.phantom import correlation, kspace, phantom, seed_of
from sandbox.reconstruction.dicom import dicom_file
from sandbox.reconstruction.image import reconstruct
from sandbox.reconstruction.worker import do_job, work

TYPE_1 = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("FrameOfReferenceUID", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"),
    *("ImageType", "ScanningSequence", "SequenceVariant", "SamplesPerPixel"),
    *("PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PixelData"),
)
PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
TYPE_2 = (
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("SeriesNumber", "InstanceNumber", "Manufacturer", "PositionReferenceIndicator"),
    *("SliceThickness", "ScanOptions", "MRAcquisitionType", "EchoTime", "EchoTrainLength"),
    *("RepetitionTime", "PatientPosition"),
)


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


KSPACE = npy(kspace(phantom(48, 64, seed_of(42))).astype(np.complex64))


def a_job(lake: Path, content: bytes = KSPACE, **change: Any) -> RecoJob:
    place = lake / "records/42/kspace.npy"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    fields = {
        "record_id": 42,
        "input": "records/42/kspace.npy",
        "reco_job_id": "job-1",
        "request_id": "r-1",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "output_dir": "records/42",
    }
    return RecoJob.model_validate(fields | change)


def test_a_job_gives_a_dicom_file_with_all_that_must_be_there(tmp_path: Path) -> None:
    result = do_job(a_job(tmp_path), tmp_path)

    assert result.success
    (made,) = result.files
    path = tmp_path / made.location
    content = path.read_bytes()
    assert made.location == "records/42/reco-job-1.dcm"
    assert (len(content), hashlib.sha256(content).hexdigest()) == (made.size, made.sha256)

    image = pydicom.dcmread(path)
    for keyword in TYPE_1:
        assert image[keyword].value not in (None, "", []), keyword
    for keyword in (*TYPE_2, *PATIENT):
        assert keyword in image, keyword
    for keyword in PATIENT:
        assert not image[keyword].value, keyword
    assert image.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert image.file_meta.MediaStorageSOPClassUID == image.SOPClassUID == MRImageStorage
    assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
    for keyword in TYPE_1[1:4]:
        assert image[keyword].value.startswith("2.25.")
        assert image[keyword].value.is_valid
    assert image.pixel_array.shape == (48, 64)
    assert correlation(image.pixel_array, phantom(48, 64, seed_of(42))) > 0.99


def test_a_repeated_job_gives_the_same_bytes(tmp_path: Path) -> None:
    first = do_job(a_job(tmp_path), tmp_path)
    second = do_job(a_job(tmp_path), tmp_path)
    other = do_job(a_job(tmp_path, reco_job_id="job-2"), tmp_path)
    assert first == second
    assert first.files[0].sha256 != other.files[0].sha256
    names = {path.name for path in (tmp_path / "records/42").iterdir()}
    assert names == {"kspace.npy", "reco-job-1.dcm", "reco-job-2.dcm"}


def test_an_odd_number_of_pixels_is_padded() -> None:
    pixels = reconstruct(np.ones((3, 5), np.complex64))
    assert pydicom.dcmread(io.BytesIO(dicom_file(pixels, "j"))).pixel_array.shape == (3, 5)


def test_an_empty_scan_is_a_black_image() -> None:
    assert reconstruct(np.zeros((4, 4), np.complex64)).max() == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a NumPy array file"),
        (b"no array", "not a NumPy array file"),
        (KSPACE[:-8], "not a NumPy array file"),
        (npy(np.ones((4, 4))), "complex numbers"),
        (npy(np.ones(4, np.complex64)), "rows and columns"),
        (npy(np.ones((0, 4), np.complex64)), "rows and columns"),
        (npy(np.full((4, 4), np.nan, np.complex64)), "not finite"),
    ],
)
def test_what_is_no_kspace_is_answered_with_a_sentence(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    result = do_job(a_job(tmp_path, content), tmp_path)
    assert (result.success, result.files) == (False, ())
    assert sentence in str(result.error)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.array([{}], dtype=object), allow_pickle=True)
    result = do_job(a_job(tmp_path, content.getvalue()), tmp_path)
    assert "not a NumPy array file" in str(result.error)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sha256": "0" * 64}, "not the file that was announced"),
        ({"size": 10}, "not the file that was announced"),
        ({"input": "records/42/other.npy"}, "No such file"),
        ({"input": "../secret.npy"}, "out of the data lake"),
        ({"input": "/etc/hostname"}, "out of the data lake"),
        ({"output_dir": "../elsewhere"}, "out of the data lake"),
        ({"output_dir": "records/42/kspace.npy"}, "can't be stored"),
    ],
)
def test_a_job_that_can_not_be_done_is_answered_with_a_sentence(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    result = do_job(a_job(tmp_path, **change), tmp_path)
    assert not result.success
    assert sentence in str(result.error)
    assert str(tmp_path) not in str(result.error)


class Topics:
    """Stands for consumer and producer: notes what was sent and committed, in this order."""

    def __init__(self, values: list[bytes], *, refuse_commit: bool = False) -> None:
        self.values = values
        self.refuse_commit = refuse_commit
        self.happened: list[tuple[Any, ...]] = []

    async def __aiter__(self) -> AsyncIterator[Any]:
        for offset, value in enumerate(self.values):
            yield SimpleNamespace(topic="reco-jobs", partition=3, offset=offset, value=value)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.refuse_commit:
            raise CommitFailedError
        self.happened.append(("commit", offsets))

    async def send_and_wait(self, topic: str, value: bytes, **rest: Any) -> None:
        self.happened.append(("send", topic, value, rest))


async def test_a_job_is_committed_after_its_result_was_acknowledged(tmp_path: Path) -> None:
    job = await asyncio.to_thread(a_job, tmp_path)
    topics: Any = Topics([job.to_bytes()])
    await work(topics, topics, tmp_path, "p.")
    (_, topic, value, rest), committed = topics.happened
    assert topic == "p.reco-results"
    assert RecoResult.from_bytes(value).success
    assert rest["key"] == b"42"
    assert [name for name, _ in rest["headers"]] == ["request-id", "message-id"]
    assert committed == ("commit", {TopicPartition("reco-jobs", 3): 1})


async def test_what_is_no_job_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = {"record_id": 42, "input": "records/42/kspace.npy"}
    topics: Any = Topics([b"\xff", b"", json.dumps(example).encode()])
    await work(topics, topics, tmp_path)
    assert [what for what, *_ in topics.happened] == ["commit"] * 3
    assert "reco_job_id: missing" in capsys.readouterr().err


async def test_a_lost_partition_ends_nothing(tmp_path: Path) -> None:
    job = await asyncio.to_thread(a_job, tmp_path)
    topics: Any = Topics([job.to_bytes(), job.to_bytes()], refuse_commit=True)
    await work(topics, topics, tmp_path)
    first, second = topics.happened
    assert first == second
