"""Taking files in: verified copies, put into place in one step."""

import asyncio
import errno
import fcntl
import gc
import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datalake import DataLake, FileMissing, Stored
from models.errors import PermanentError, PoisonError, TransientError
from models.wire import Cause

DATA = bytes(range(256)) * 1000
HASH = hashlib.sha256(DATA).hexdigest()
RECORD = "12"
TARGET = f"records/12/{HASH[:12]}-raw.npy"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.npy").write_bytes(DATA)
    return tmp_path


@pytest.fixture
def lake(root: Path) -> DataLake:
    return DataLake(root, chunk=1000)


async def take_in(lake: DataLake, **changes: Any) -> Stored:
    wanted: dict[str, Any] = {
        "record": RECORD,
        "location": "inbox/a.npy",
        "size": len(DATA),
        "sha256": HASH,
    }
    return await lake.take_in(**(wanted | {"suffix": "raw.npy"} | changes))


def names(root: Path) -> list[str]:
    folder = root / "records" / RECORD
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def test_a_file_is_copied_and_the_source_left_alone(lake: DataLake, root: Path) -> None:
    assert await take_in(lake) == Stored(location=TARGET, size=len(DATA), sha256=HASH)
    assert (root / TARGET).read_bytes() == DATA
    assert (root / "inbox" / "a.npy").read_bytes() == DATA
    assert names(root) == [f"{HASH[:12]}-raw.npy"]
    assert not (root / TARGET).samefile(root / "inbox" / "a.npy")


async def test_taking_in_again_is_done_even_without_the_source(lake: DataLake, root: Path) -> None:
    first = await take_in(lake)
    made = (root / TARGET).stat()
    (root / "inbox" / "a.npy").unlink()
    assert await take_in(lake) == first
    assert (root / TARGET).stat().st_ino == made.st_ino


async def test_an_empty_file_is_taken_in(lake: DataLake, root: Path) -> None:
    (root / "inbox" / "empty").write_bytes(b"")
    empty = hashlib.sha256().hexdigest()
    stored = await take_in(lake, location="inbox/empty", size=0, sha256=empty)
    assert (root / stored.location).read_bytes() == b""


async def test_two_at_a_time_end_in_one_file(root: Path) -> None:
    lakes = [DataLake(root, chunk=1000) for _ in range(4)]
    stored = await asyncio.gather(*(take_in(lake) for lake in lakes))
    assert len(set(stored)) == 1
    assert names(root) == [f"{HASH[:12]}-raw.npy"]


async def test_another_content_under_our_name_is_never_replaced(lake: DataLake, root: Path) -> None:
    (root / "records" / RECORD).mkdir(parents=True)
    (root / TARGET).write_bytes(b"other")
    with pytest.raises(PermanentError, match="another content"):
        await take_in(lake)
    assert (root / TARGET).read_bytes() == b"other"


async def test_a_link_under_our_name_is_never_followed(lake: DataLake, root: Path) -> None:
    (root / "records" / RECORD).mkdir(parents=True)
    (root / TARGET).symlink_to(root / "inbox" / "a.npy")
    with pytest.raises(PermanentError, match="something else"):
        await take_in(lake)


async def test_another_content_that_appears_while_we_copy_is_not_replaced(
    lake: DataLake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def late(*args: Any, **kwargs: Any) -> None:
        (root / TARGET).write_bytes(b"other")
        link(*args, **kwargs)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(PermanentError):
        await take_in(lake)
    assert names(root) == [f"{HASH[:12]}-raw.npy"]


async def test_a_record_folder_that_is_a_link_is_refused(lake: DataLake, root: Path) -> None:
    (root / "elsewhere").mkdir()
    (root / "records").mkdir()
    (root / "records" / RECORD).symlink_to(root / "elsewhere")
    with pytest.raises(PoisonError) as caught:
        await take_in(lake)
    assert caught.value.cause is Cause.PATH_REFUSED
    assert not list((root / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"size": len(DATA) - 1}, Cause.FILE_REFUSED),
        ({"size": len(DATA) + 1}, Cause.FILE_REFUSED),
        ({"sha256": "0" * 64}, Cause.FILE_REFUSED),
        ({"location": "../a.npy"}, Cause.PATH_REFUSED),
        ({"record": ".."}, Cause.PATH_REFUSED),
        ({"suffix": "../raw.npy"}, Cause.PATH_REFUSED),
        ({"suffix": "Raw.npy"}, Cause.PATH_REFUSED),
        ({"suffix": ".npy"}, Cause.PATH_REFUSED),
        ({"sha256": HASH.upper()}, Cause.PATH_REFUSED),
    ],
)
async def test_what_is_not_as_announced_is_refused_and_leaves_nothing(
    lake: DataLake, root: Path, change: dict[str, Any], cause: Cause
) -> None:
    with pytest.raises(PoisonError) as caught:
        await take_in(lake, **change)
    assert caught.value.cause is cause
    assert "a.npy" not in str(caught.value)
    assert names(root) == []


async def test_a_missing_source_is_told_apart(lake: DataLake, root: Path) -> None:
    with pytest.raises(FileMissing):
        await take_in(lake, location="inbox/b.npy")
    assert names(root) == []


def after_first_read(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    read, acted = os.read, threading.Event()

    def reading(fd: int, size: int) -> bytes:
        block = read(fd, size)
        if threading.current_thread().name.startswith("datalake") and not acted.is_set():
            acted.set()
            act()
        return block

    monkeypatch.setattr(os, "read", reading)


async def test_a_source_that_grows_while_copied_is_refused(
    lake: DataLake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow() -> None:
        with (root / "inbox" / "a.npy").open("ab") as file:
            file.write(b"more")

    after_first_read(monkeypatch, grow)
    with pytest.raises(PoisonError, match=f"{len(DATA)} were announced"):
        await take_in(lake)
    assert names(root) == []


async def test_a_source_that_changes_while_copied_is_refused(
    lake: DataLake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change() -> None:
        with (root / "inbox" / "a.npy").open("r+b") as file:
            file.seek(len(DATA) - 1)
            file.write(b"\0")

    after_first_read(monkeypatch, change)
    with pytest.raises(PoisonError, match="sha256"):
        await take_in(lake)
    assert names(root) == []


async def test_a_sender_that_writes_on_changes_nothing(lake: DataLake, root: Path) -> None:
    stored = await take_in(lake)
    with (root / "inbox" / "a.npy").open("r+b") as file:
        file.write(b"changed")
    assert (root / stored.location).read_bytes() == DATA


@pytest.mark.parametrize("call", ["open", "mkdir", "write", "fsync", "link"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
async def test_a_full_or_broken_disk_is_transient_and_leaves_nothing(
    lake: DataLake, root: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    real = getattr(os, call)

    def full(*args: Any, **kwargs: Any) -> Any:
        reads = call == "open" and not args[1] & os.O_CREAT
        if reads or not threading.current_thread().name.startswith("datalake"):
            return real(*args, **kwargs)
        raise OSError(code, os.strerror(code), "DOE^JANE")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(TransientError) as caught:
            await take_in(lake)
    assert "DOE" not in str(caught.value)
    assert names(root) == []
    assert (await take_in(lake)).location == TARGET


async def test_the_content_is_on_disk_before_the_name_and_the_name_before_we_say_so(
    lake: DataLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return real(*args, **kwargs)

        return call

    for name in ("mkdir", "fsync", "link", "unlink"):
        monkeypatch.setattr(os, name, noted(name))
    await take_in(lake)
    folders = ["mkdir", "fsync"] * 2
    assert calls == [*folders, "fsync", "link", "unlink", "fsync"]


async def test_short_writes_are_carried_on(
    lake: DataLake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:333]))
    await take_in(lake)
    assert (root / TARGET).read_bytes() == DATA


@pytest.mark.parametrize("flipped", [False, True])
async def test_blocks_are_shared_where_the_file_system_can_and_our_copy_is_hashed(
    lake: DataLake, root: Path, monkeypatch: pytest.MonkeyPatch, flipped: bool
) -> None:
    def clone(target: int, _request: int, source: int) -> int:
        data = os.pread(source, len(DATA), 0)
        os.pwrite(target, data[::-1] if flipped else data, 0)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", clone)
    monkeypatch.setattr(os, "write", None)  # nothing is copied byte by byte
    if flipped:
        with pytest.raises(PoisonError, match="sha256"):
            await take_in(lake)
        assert names(root) == []
    else:
        await take_in(lake)
        assert (root / TARGET).read_bytes() == DATA


async def test_cancelling_stops_the_copy_and_leaves_nothing(
    lake: DataLake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, reached, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def hold() -> None:
        loop.call_soon_threadsafe(reached.set)
        assert go_on.wait(10)

    complaints: list[object] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    after_first_read(monkeypatch, hold)
    task = asyncio.create_task(take_in(lake))
    await reached.wait()
    task.cancel()
    loop.call_soon(go_on.set)
    await asyncio.wait([task])
    assert task.cancelled()
    del task
    gc.collect()  # else an error that nobody took would be complained of later
    assert names(root) == []
    assert complaints == []


async def test_only_old_temporary_files_are_swept(lake: DataLake, root: Path) -> None:
    folder = root / "records" / RECORD
    (folder / ".part-folder").mkdir(parents=True)
    for name, age in [(".part-old", 3700), (".part-new", 3500), ("image.dcm", 9999)]:
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    os.utime(folder / ".part-folder", (0, 0))
    assert await lake.sweep(RECORD) == 1
    assert names(root) == [".part-folder", ".part-new", "image.dcm"]
    assert await lake.sweep("13") == 0


async def test_nothing_is_begun_that_would_leave_too_little_room(root: Path) -> None:
    """Below the watermark files wait: whoever asks tries again, and nothing half-written is left."""
    full = DataLake(root, keep_free=2**60)
    with pytest.raises(TransientError) as caught:
        await take_in(full)
    assert "no room" in str(caught.value)
    assert names(root) == []
    await take_in(DataLake(root, keep_free=1))
    assert await take_in(full), "one that is there already is done, however full the disk is"
