"""A file that is written beside its target and takes its place only when it is whole."""

import os
from hashlib import file_digest
from pathlib import Path
from typing import Self
from uuid import uuid4

from commands.base import CommandError


class Partial:
    """The half of a file that nobody sees; gone at the end unless `keep` was called."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.with_name(f".{target.name[:200]}.{uuid4().hex[:8]}.part")
        self._fd = -1

    def __enter__(self) -> Self:
        """Make it. Raises CommandError where no file can be."""
        if self._target.is_dir():
            raise CommandError("the output is a folder, a file's name is needed")
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except OSError as error:
            raise _no_write(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        """Take what was not kept away."""
        os.close(self._fd)
        self._path.unlink(missing_ok=True)

    def write(self, offset: int, data: bytes) -> None:
        """Put bytes at a place."""
        try:
            while data:
                written = os.pwrite(self._fd, data, offset)
                offset, data = offset + written, data[written:]
        except OSError as error:
            raise _no_write(error) from None

    def restart(self) -> None:
        """Drop all that was written."""
        os.ftruncate(self._fd, 0)

    def sha256(self) -> str:
        """Hash what is in the file: of the bytes on the disk, not of those that came."""
        os.lseek(self._fd, 0, os.SEEK_SET)
        with os.fdopen(os.dup(self._fd), "rb") as file:
            return file_digest(file, "sha256").hexdigest()

    def size(self) -> int:
        """Give its size."""
        return os.fstat(self._fd).st_size

    def keep(self) -> None:
        """Put it into its target's place in one step; a file that was there is replaced."""
        try:
            os.fsync(self._fd)
            self._path.replace(self._target)
        except OSError as error:
            raise _no_write(error) from None


def _no_write(error: OSError) -> CommandError:
    return CommandError(f"the output can't be written: {error.strerror}")
