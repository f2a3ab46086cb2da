"""The image that a foreign reconstruction worker leaves without a word."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from datalake import DataLake, DicomIdentity, inspect_dicom
from datalake.dicom import identify
from models.errors import PoisonError, ScanHubError
from tests.unit.test_datalake_dicom import make, written


async def test_the_conventional_place_is_found_when_whole(tmp_path: Path) -> None:
    lake, path = DataLake(tmp_path), tmp_path / "records" / "12" / "record-12.dcm"
    assert await lake.find_conventional("12") is None
    path.parent.mkdir(parents=True)
    assert await lake.find_conventional("12") is None

    data = written(make())
    path.write_bytes(data[:-1])
    assert await lake.find_conventional("12") is None, "young and not whole: being written"
    os.utime(path, (time.time() - 61,) * 2)
    with pytest.raises(PoisonError):
        await lake.find_conventional("12")

    path.write_bytes(data)
    found = await lake.find_conventional("12")
    assert found is not None
    assert (found.location, found.size) == ("records/12/record-12.dcm", len(data))
    assert found.identity.sop_instance_uid == "1.2.3.4"
    stored = await lake.take_in(
        "12", found.location, size=found.size, sha256=found.sha256, suffix="image.dcm"
    )
    assert (tmp_path / stored.location).read_bytes() == data


async def test_a_file_that_changes_while_we_look_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records" / "12" / "record-12.dcm"
    path.parent.mkdir(parents=True)
    path.write_bytes(written(make()))

    def slow(fd: int) -> DicomIdentity:
        identity = identify(fd)
        os.utime(path, (1, 1))
        return identity

    monkeypatch.setattr("datalake.store.identify", slow)
    assert await DataLake(tmp_path).find_conventional("12") is None


async def test_a_bad_disk_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> bytes:
        raise OSError(5, "DOE^JANE")

    (tmp_path / "a.dcm").write_bytes(written(make()))
    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(ScanHubError, match="EIO") as caught:
        await inspect_dicom(DataLake(tmp_path), "a.dcm")
    assert not isinstance(caught.value, PoisonError)
