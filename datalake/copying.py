"""Taking a file in: our own verified copy, put into its place in one step. Blocking functions."""

import fcntl
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from datalake.errors import FileMissing, sort_os_error
from datalake.paths import RECORDS, check_record, open_contained, open_folder, open_regular
from models.errors import PermanentError, PoisonError, TransientError
from models.wire import Cause

PART: Final = ".part-"
"""Temporary files begin so: they are nobody's result, and readers of the folder pass them by."""

STALE_S: Final = 3600.0
"""Seconds after which a temporary file is what a killed worker left."""

_FILE_MODE = 0o644  # read by reconstruction workers, written by nobody
_FICLONE = 0x40049409  # linux/fs.h, _IOW(0x94, 9, int): share the blocks instead of copying them
_SUFFIX = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}(\.[a-z0-9]{1,16}){0,2}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file of ours: where it lies below the root, its size in bytes and its hash in hex."""

    location: str
    size: int
    sha256: str


class StoppedError(Exception):
    """Whoever waited for the work is gone; never seen outside of the data lake."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long work goes on: `chunk` bytes at a time, until it is told to stop."""

    chunk: int
    stop: threading.Event
    keep_free: int = 0
    """Bytes that are to stay free on the disk: below them nothing is begun."""

    def go_on(self) -> None:
        """Raise StoppedError once nobody waits any more."""
        if self.stop.is_set():
            raise StoppedError


def stored_location(record: str, sha256: str, suffix: str) -> str:
    """Give the place of a record's file: `records/{record}/{first 12 of the hash}-{suffix}`."""
    return f"{RECORDS}/{record}/{sha256[:12]}-{suffix}"


def copy_in(root: Path, location: str, wanted: Stored, pace: Pace) -> Stored:
    """Copy `location` to `wanted.location`, which lies in the record's folder, and verify the copy.

    Already there with the same content: done, even if the source is gone (a restart after the
    source was removed). Raises PoisonError for a source that is refused or not as announced,
    PermanentError where something else lies under our name, FileMissing, TransientError.
    """
    *folders, name = wanted.location.split("/")
    with open_folder(root, folders, make=True) as folder:
        _sweep(folder)
        if not _is_there(folder, name, wanted, pace):
            _check_room(folder, wanted, pace)
            with _temporary(folder) as (temp_name, temp):
                source = open_contained(root, location)
                try:
                    _copy(source, temp, wanted, pace)
                finally:
                    os.close(source)
                _put(folder, temp_name, name, wanted, pace)
        with _sorted():
            os.fsync(folder)
    return wanted


def plan(record: str, size: int, sha256: str, suffix: str) -> Stored:
    """Say what a file will be called; raises PoisonError PATH_REFUSED for odd names."""
    if _SHA256.fullmatch(sha256) is None or _SUFFIX.fullmatch(suffix) is None:
        raise PoisonError("the hash or the kind of the file is malformed", Cause.PATH_REFUSED)
    location = stored_location(check_record(record), sha256, suffix)
    return Stored(location=location, size=size, sha256=sha256)


def sweep(root: Path, record: str) -> int:
    """Remove what killed workers left in a record's folder; give the number of files removed."""
    try:
        with open_folder(root, [RECORDS, check_record(record)]) as folder:
            return _sweep(folder)
    except FileMissing:
        return 0


def hash_file(fd: int, pace: Pace) -> tuple[int, str]:
    """Read an open file from its beginning; give its size in bytes and its sha256."""
    digest, size = hashlib.sha256(), 0
    with _sorted():
        while block := os.pread(fd, pace.chunk, size):
            pace.go_on()
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def _check_room(folder: int, wanted: Stored, pace: Pace) -> None:
    """Begin nothing that would fill the disk: it is tried again until there is room."""
    with _sorted("the data lake"):
        disk = os.fstatvfs(folder)
    if pace.keep_free and disk.f_bavail * disk.f_frsize < pace.keep_free + wanted.size:
        mib = pace.keep_free // (1024 * 1024)
        raise TransientError(
            f"the data lake's disk has no room: {mib} MiB are to stay free", sent=False
        )


def _copy(source: int, temp: int, wanted: Stored, pace: Pace) -> None:
    """Fill the temporary file; what is hashed are the bytes of our copy, not the sender's."""
    with _sorted():
        _check_size(os.fstat(source).st_size, wanted)
    if _clone(source, temp):
        size, sha256 = hash_file(temp, pace)
    else:
        size, sha256 = _copy_bytes(source, temp, wanted, pace)
    _check_size(size, wanted)
    if sha256 != wanted.sha256:
        raise PoisonError(
            f"the file's sha256 is {sha256}, {wanted.sha256} was announced", Cause.FILE_REFUSED
        )
    with _sorted("our copy"):
        os.fsync(temp)


def _copy_bytes(source: int, temp: int, wanted: Stored, pace: Pace) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while True:
        pace.go_on()
        with _sorted():
            block = os.read(source, pace.chunk)
        if not block:
            return size, digest.hexdigest()
        size += len(block)
        if size > wanted.size:
            # A sender that keeps writing must not fill our disk.
            _check_size(size, wanted)
        digest.update(block)
        _write(temp, block)


def _write(temp: int, block: bytes) -> None:
    rest = memoryview(block)
    with _sorted("our copy"):
        while rest:
            rest = rest[os.write(temp, rest) :]


def _check_size(size: int, wanted: Stored) -> None:
    if size != wanted.size:
        raise PoisonError(
            f"the file has {size} bytes, {wanted.size} were announced", Cause.FILE_REFUSED
        )


def _clone(source: int, temp: int) -> bool:
    try:
        fcntl.ioctl(temp, _FICLONE, source)
    except OSError:
        return False  # this file system can't, or not now: then byte by byte
    return True


def _put(folder: int, temp_name: str, name: str, wanted: Stored, pace: Pace) -> None:
    """Make the copy visible under its name; a link replaces nothing, a rename would."""
    try:
        os.link(temp_name, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        if not _is_there(folder, name, wanted, pace):
            raise FileMissing("our copy vanished while it was put into place") from None
    except OSError as error:
        raise sort_os_error(error, "our copy") from None


def _is_there(folder: int, name: str, wanted: Stored, pace: Pace) -> bool:
    """Tell whether our file is in its place; raises PermanentError if it is something else."""
    try:
        fd = open_regular(folder, name)
    except FileMissing:
        return False
    except PoisonError:
        raise PermanentError("something else lies under the name of our copy") from None
    try:
        if hash_file(fd, pace) != (wanted.size, wanted.sha256):
            raise PermanentError("another content lies under the name of our copy")
    finally:
        os.close(fd)
    return True


@contextmanager
def _temporary(folder: int) -> Iterator[tuple[str, int]]:
    name = PART + uuid4().hex
    with _sorted("our copy"):
        fd = os.open(
            name,
            os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
            _FILE_MODE,
            dir_fd=folder,
        )
    try:
        yield name, fd
    finally:
        os.close(fd)
        with suppress(OSError):  # what stays is swept an hour later
            os.unlink(name, dir_fd=folder)


def _sweep(folder: int) -> int:
    removed, oldest = 0, time.time() - STALE_S
    with _sorted("the record's folder"), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(PART):
                continue
            with suppress(OSError):  # another worker was quicker, or it is no file of ours
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.name, dir_fd=folder)
                    removed += 1
    return removed


@contextmanager
def _sorted(what: str = "the announced file") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise sort_os_error(error, what) from None
