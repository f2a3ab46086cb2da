"""The watermark of the data lake's disk: what would leave too little room is not begun."""

import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from datalake import DataLake, Stored
from models.errors import TransientError

DATA = bytes(5000)
HASH = hashlib.sha256(DATA).hexdigest()
KEEP = 10_000


class Disk:
    """How much is free, in a test's hand; what else is done to files is done."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = KEEP + len(DATA)
        monkeypatch.setattr(
            os, "fstatvfs", lambda _: SimpleNamespace(f_bavail=self.free, f_frsize=1)
        )
        (root / "inbox").mkdir()
        (root / "inbox" / "a.npy").write_bytes(DATA)
        self.root = root

    def stored(self) -> list[str]:
        return sorted(path.name for path in (self.root / "records").rglob("*") if path.is_file())


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path, monkeypatch)


async def take_in(lake: DataLake) -> Stored:
    return await lake.take_in("12", "inbox/a.npy", size=len(DATA), sha256=HASH, suffix="raw.npy")


async def test_what_just_fits_is_taken_in(disk: Disk) -> None:
    await take_in(DataLake(disk.root, keep_free=KEEP))
    assert disk.stored() == [f"{HASH[:12]}-raw.npy"]


@pytest.mark.parametrize("free", [0, KEEP - 1, KEEP + len(DATA) - 1])
async def test_what_would_leave_too_little_waits_and_leaves_no_trace(disk: Disk, free: int) -> None:
    lake = DataLake(disk.root, keep_free=KEEP)
    disk.free = free
    with pytest.raises(TransientError, match="are to stay free"):
        await take_in(lake)
    assert disk.stored() == []
    disk.free = KEEP + len(DATA)
    await take_in(lake)
    assert disk.stored() == [f"{HASH[:12]}-raw.npy"]


async def test_what_is_there_already_needs_no_room(disk: Disk) -> None:
    lake = DataLake(disk.root, keep_free=KEEP)
    first = await take_in(lake)
    disk.free = 0
    assert await take_in(lake) == first


async def test_without_a_watermark_it_is_tried(disk: Disk) -> None:
    disk.free = 0
    await take_in(DataLake(disk.root))
    assert disk.stored() == [f"{HASH[:12]}-raw.npy"]


async def test_a_lake_that_is_not_there_or_not_ours_to_write_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = DataLake(tmp_path / "lake")
    with pytest.raises(TransientError, match="is not there"):
        await lake.free_bytes()
    (tmp_path / "lake").mkdir()
    assert await lake.free_bytes() > 0
    # Rights do not bind root, so the system's answer is given here.
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(TransientError, match="can't be written"):
        await lake.free_bytes()
