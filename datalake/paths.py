"""Safe opening: a location that a sender chose leads to a regular file below the root, or nowhere.

Every step is `openat` without following links. Joining the location to the root and resolving it
would leave a gap between check and use, and an absolute location would win the join.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from datalake.errors import FileMissing, sort_os_error
from models.base import canonical
from models.errors import PoisonError, TransientError
from models.wire import Cause

MAX_LOCATION: Final = 1024
"""Characters of a location."""

RECORDS: Final = "records"
"""Folder of everything that we keep: `records/{record}/…`."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO without a writer would hold the opening thread for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER_MODE = 0o775  # less the umask: a reconstruction worker of the same group writes here too
_RECORD = re.compile(r"[0-9a-f-]{1,36}")


def open_contained(root: Path, location: str) -> int:
    """Open a regular file below `root` for reading; the caller closes the descriptor.

    Follows no link below the root (the root itself may be one). Raises PoisonError PATH_REFUSED
    for a location that leaves the root or goes through a link, PoisonError FILE_REFUSED for what
    is not a regular file, FileMissing, or TransientError for what a person can repair.
    """
    *folders, name = split(location)
    with open_folder(root, folders) as folder:
        return open_regular(folder, name)


def split(location: str) -> list[str]:
    """Give the parts of a location; raises PoisonError PATH_REFUSED where it is not plain.

    Plain: relative, at most MAX_LOCATION characters, no NUL, no empty part, no `.` and no `..`.
    """
    if not 0 < len(location) <= MAX_LOCATION or "\0" in location:
        raise PoisonError("the location is empty, too long or holds a NUL", Cause.PATH_REFUSED)
    try:
        location.encode()
    except UnicodeEncodeError:  # lone surrogates; os.open would raise it too, far from here
        raise PoisonError("the location is not a text", Cause.PATH_REFUSED) from None
    parts = location.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise PoisonError("the location is not a plain relative path", Cause.PATH_REFUSED)
    return parts


def check_record(record: str) -> str:
    """Give the record back if it is a canonical id (decimal, or lower-case UUID).

    Raises PoisonError PATH_REFUSED else: the id becomes a folder's name.
    """
    try:
        good = _RECORD.fullmatch(record) is not None and canonical(record) == record
    except ValueError:
        good = False
    if not good:
        raise PoisonError("the record id is not in its canonical form", Cause.PATH_REFUSED)
    return record


@contextmanager
def open_folder(root: Path, parts: list[str], *, make: bool = False) -> Iterator[int]:
    """Hold a folder below the root open, made if missing where `make` says so.

    Raises as open_contained does; TransientError where the root itself can't be opened.
    """
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise TransientError("the data lake can't be opened", sent=False) from None
    try:
        for part in parts:
            inner = _enter(folder, part, make=make)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def open_regular(folder: int, name: str) -> int:
    """Open a regular file in an open folder for reading; raises as open_contained does."""
    try:
        # Looked at before it is opened: opening a device can set it going.
        _refuse_odd(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        fd = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        raise sort_os_error(error) from None
    try:
        # And again after: it may have been exchanged between the two calls.
        _refuse_odd(os.fstat(fd).st_mode)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _enter(folder: int, part: str, *, make: bool) -> int:
    try:
        if make:
            _make(folder, part)
        return os.open(part, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        raise FileMissing("the announced file is not there") from None
    except OSError as error:
        raise sort_os_error(error) from None


def _make(folder: int, part: str) -> None:
    try:
        os.mkdir(part, _FOLDER_MODE, dir_fd=folder)
    except FileExistsError:
        return  # a link or a file under this name is refused when it is opened
    os.fsync(folder)  # else a power cut could take the folder with what was promised to be in it


def _refuse_odd(mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise PoisonError("the announced file is a link", Cause.PATH_REFUSED)
    if not stat.S_ISREG(mode):
        raise PoisonError("the announced file is not a regular file", Cause.FILE_REFUSED)
