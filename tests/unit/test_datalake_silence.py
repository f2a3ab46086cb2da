"""No value of a DICOM file reaches a log or a warning (promise 8)."""

import io
import logging
import os
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from datalake import DataLake, inspect_dicom
from models.errors import PoisonError

NAME = "DOE^JANE"


def planted() -> bytes:
    """Make an image with the name in every text that a parser may trip over."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, "1.2.3"
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2", "1.2.4"
    image.PatientName, image.PatientID = NAME, NAME
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.SpecificCharacterSet = NAME
        image.StudyDate = NAME
        image.PatientBirthDate = NAME
        image.SeriesNumber = ""
        pydicom.dcmwrite(file, image, enforce_file_format=True)
    return file.getvalue()


def broken() -> list[bytes]:
    data = planted()
    place = data.index(b"\x10\x00\x10\x00PN")
    return [
        data,
        data[:-3],
        data[: place + 12],
        data.replace(b"\x10\x00\x10\x00PN", b"\x10\x00\x10\x00SQ"),
        data.replace(b"\x10\x00\x10\x00PN", b"\x10\x00\x10\x00??"),
        data.replace(b"1.2.4\0", NAME.encode()[:6]),
        data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0"),
        data.replace(b"\x20\x00\x11\x00IS\x00\x00", b"\x20\x00\x11\x00UN\x00\x00\xff\xff\xff\xff"),
    ]


def test_pydicom_alone_would_tell_the_name() -> None:
    # Else the next test would show nothing. Runs first or last: the filter is taken off here.
    logger = logging.getLogger("pydicom")
    kept, logger.filters = logger.filters, []
    try:
        with pytest.warns(UserWarning, match="DOE"):
            pydicom.dcmread(io.BytesIO(planted()))
    finally:
        logger.filters = kept


@pytest.mark.parametrize("number", range(8))
async def test_a_planted_name_is_told_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], number: int
) -> None:
    (tmp_path / f"{NAME}.dcm").write_bytes(broken()[number])  # pydicom tells the name as it writes
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            identity = await inspect_dicom(DataLake(tmp_path), f"{NAME}.dcm")
        except PoisonError as error:
            told = f"{error!r} {error.__cause__!r} {error.__context__!r}"
        else:
            told = repr(identity)
    output = capfd.readouterr()
    texts = [
        told,
        caplog.text,
        output.out,
        output.err,
        *(str(warning.message) for warning in caught),
    ]
    for text in texts:
        assert "DOE" not in text
        assert os.fspath(tmp_path) not in text
