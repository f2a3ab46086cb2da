"""What a DICOM file must be to be served."""

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    MRSpectroscopyStorage,
)

from datalake import (
    DataLake,
    DicomIdentity,
    FileMissing,
    dicom_reader,
    inspect_dicom,
    mr_iod,
    part10,
)
from datalake.dicom import identify
from models.errors import PoisonError
from models.wire import Cause

NATIVE = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def make(syntax: UID = ExplicitVRLittleEndian, **changes: Any) -> Dataset:
    image = Dataset()
    for name in [*mr_iod._PRESENT, *mr_iod._IMAGE_PRESENT]:
        setattr(image, name, "")
    image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, "1.2.3.4"
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3", "1.2.3.0"
    image.FrameOfReferenceUID, image.Modality = "1.2.9", "MR"
    image.ImageType, image.ScanningSequence, image.SequenceVariant = ["ORIGINAL"], "GR", "NONE"
    image.PixelSpacing, image.ImagePositionPatient = [1, 1], [0, 0, 0]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns, image.BitsAllocated, image.BitsStored = 32, 8, 16, 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.PixelData = bytes(32 * 8 * 2)
    image["PixelData"].VR = "OW"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = syntax
    for name, value in changes.items():
        if value is None:
            delattr(image, name)
        else:
            setattr(image, name, value)
    return image


def written(image: Dataset) -> bytes:
    file = io.BytesIO()
    pydicom.dcmwrite(file, image, enforce_file_format=True)
    return file.getvalue()


def inspect(folder: Path, data: bytes) -> DicomIdentity:
    path = folder / "image"
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        return identify(fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize("syntax", NATIVE)
def test_a_good_image_is_told_by_its_identity(tmp_path: Path, syntax: UID) -> None:
    assert inspect(tmp_path, written(make(syntax))) == DicomIdentity(
        sop_class_uid=MRImageStorage,
        sop_instance_uid="1.2.3.4",
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.0",
        rows=32,
        columns=8,
        frames=1,
        transfer_syntax_uid=syntax,
        lacks=(),
    )
    assert pydicom.dcmread(tmp_path / "image").SOPInstanceUID == "1.2.3.4"


async def test_it_works_in_the_data_lake(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(written(make()))
    lake = DataLake(tmp_path)
    assert (await inspect_dicom(lake, "a.dcm")).rows == 32
    with pytest.raises(FileMissing):
        await inspect_dicom(lake, "b.dcm")


def test_what_is_missing_is_told_not_refused(tmp_path: Path) -> None:
    image = make(PatientID=None, EchoTime=None, PixelSpacing=None, ImageType="")
    assert inspect(tmp_path, written(image)).lacks == (
        "PixelSpacing",
        "ImageType",
        "PatientID",
        "EchoTime",
    )


def test_frames_count_and_0_is_1(tmp_path: Path) -> None:
    three = make(
        SOPClassUID=EnhancedMRImageStorage, NumberOfFrames=3, PixelData=bytes(3 * 32 * 8 * 2)
    )
    assert inspect(tmp_path, written(three)).frames == 3
    assert inspect(tmp_path, written(make(NumberOfFrames=0))).frames == 1


def test_sequences_of_any_length_before_the_pixels_are_passed(tmp_path: Path) -> None:
    item = Dataset()
    item.CodeValue = "1"
    for undefined in (True, False):
        image = make(ProcedureCodeSequence=[item], ReferencedImageSequence=[])
        image["ProcedureCodeSequence"].is_undefined_length = undefined
        assert inspect(tmp_path, written(image)).lacks == ()


def test_spectroscopy_has_no_pixel_data(tmp_path: Path) -> None:
    image = make(SOPClassUID=MRSpectroscopyStorage, PixelData=None)
    for _ in range(2):
        data = written(image)
        assert inspect(tmp_path, data).rows == 32
        for cut in (1, 3, 5, 9):
            with pytest.raises(PoisonError):
                inspect(tmp_path, data[:-cut])
        image.add_new(0x56000020, "OF", bytes(64))  # and now with an element that is passed over


def test_encapsulated_pixel_data_is_walked(tmp_path: Path) -> None:
    image = make(JPEG2000Lossless, PixelData=encapsulate([b"abcd", b"efgh"]), NumberOfFrames=2)
    image["PixelData"].VR = "OB"
    data = written(image)
    assert inspect(tmp_path, data).transfer_syntax_uid == JPEG2000Lossless
    for cut in range(1, 40):
        with pytest.raises(PoisonError):
            inspect(tmp_path, data[:-cut])


@pytest.mark.parametrize("syntax", NATIVE)
def test_no_beginning_of_a_file_is_taken_for_the_whole(tmp_path: Path, syntax: UID) -> None:
    data = written(make(syntax))
    end = len(data) - (2 if syntax == DeflatedExplicitVRLittleEndian else 0)  # its padding
    for size in [*range(0, end, 7), end - 1]:
        with pytest.raises(PoisonError) as caught:
            inspect(tmp_path, data[:size])
        assert caught.value.cause is Cause.FILE_REFUSED


@pytest.mark.parametrize(
    "changes",
    [
        {"PixelData": bytes(32 * 8 * 2 - 2)},
        {"PixelData": bytes(32 * 8 * 2 + 2)},
        {"NumberOfFrames": 2},
        {"Rows": None},
        {"BitsAllocated": None},
        {"PixelData": None},
        {"StudyInstanceUID": None},
        {"SeriesInstanceUID": ""},
    ],
)
def test_wrong_lengths_and_missing_identities_are_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(PoisonError) as caught:
        inspect(tmp_path, written(make(**changes)))
    assert caught.value.cause is Cause.FILE_REFUSED


Change = Callable[[bytes], bytes]


def swap(old: bytes, new: bytes, count: int = -1) -> Change:
    return lambda data: data.replace(old, new, count)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[132:],  # no preamble
        lambda data: b"x" + data,
        swap(b"1.2.3.4\0", b"1.2.3.5\0", 1),  # meta information of another object
        swap(b"1.2.3.4\0", b"1.02.34\0"),  # a leading zero
        swap(b"1.2.3.4\0", b"1.2..34\0"),
        swap(b"1.2.3.4\0", b"../../x\0"),
        swap(b"1.2.840.10008.1.2.1\0", b"DOE^JANE\0\0\0\0\0\0\0\0\0\0\0\0"),
        swap(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"),  # not in this byte order
        swap(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4\0"),  # should be encapsulated
        swap(b"\x02\x00\x10\x00UI", b"\x02\x00\x11\x00UI"),  # no transfer syntax
        swap(b"\x28\x00\x10\x00US\x02", b"\x28\x00\x10\x00US\x01"),
        lambda data: data[:400] + bytes(range(256)),
    ],
)
def test_broken_containers_are_refused_without_their_content(
    tmp_path: Path, change: Change
) -> None:
    data = written(make())
    changed = change(data)
    assert changed != data
    with pytest.raises(PoisonError) as caught:
        inspect(tmp_path, changed)
    assert caught.value.cause is Cause.FILE_REFUSED
    assert "DOE" not in str(caught.value)
    assert caught.value.__context__ is None


def bomb(size: int) -> bytes:
    data = written(make(DeflatedExplicitVRLittleEndian))
    fd_free = data[: data.index(b"1.2.840.10008.1.2.1.99") + 22]
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = bytes(2**20)
    head = struct.pack("<HH2sHL", 0x0008, 0x0005, b"UN", 0, 0xFFFFFFF0)
    parts = [deflater.compress(head), *(deflater.compress(block) for _ in range(size))]
    return fd_free + b"".join(parts) + deflater.flush()


def test_a_deflate_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part10, "MAX_INFLATED", 8 * 2**20)
    data = bomb(9)
    assert len(data) < 20_000
    with pytest.raises(PoisonError, match="swells"):
        inspect(tmp_path, data)


def test_a_head_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = written(make())[:400]
    start = start[: start.index(b"\x08\x00\x08\x00CS")]
    sequence = struct.pack("<HH2sHL", 0x0008, 0x1032, b"SQ", 0, 0xFFFFFFFF)
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    monkeypatch.setattr(dicom_reader, "MAX_READS", 10_000)
    with pytest.raises(PoisonError, match="too large"):
        inspect(tmp_path, start + sequence + items * 20_000)
    nested = (sequence + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 3_000
    with pytest.raises(PoisonError, match=r"RecursionError|OSError"):
        inspect(tmp_path, start + nested)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    places=st.lists(st.tuples(st.integers(128, 900), st.binary(min_size=1, max_size=8)), max_size=3)
)
def test_no_change_of_bytes_makes_it_fail_otherwise(
    tmp_path: Path, places: list[tuple[int, bytes]]
) -> None:
    data = bytearray(written(make()))
    for place, new in places:
        data[place : place + len(new)] = new
    with contextlib.suppress(PoisonError):
        inspect(tmp_path, bytes(data))
