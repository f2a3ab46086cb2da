"""Files in the data lake: read what was promised, write in one step, never leave the lake."""

import hashlib
import os
import tempfile
from pathlib import Path

from sandbox.reconstruction.image import NotReconstructableError


def inside(lake: Path, location: str) -> Path:
    """Give the path of a location in the data lake, links followed; refuse one outside of it."""
    path = (lake / location).resolve()
    if not path.is_relative_to(lake.resolve()):
        raise NotReconstructableError("a path leads out of the data lake")
    return path


def read_checked(path: Path, size: int, sha256: str) -> bytes:
    """Read a file and make sure that it is the one that was meant."""
    try:
        with path.open("rb") as file:
            content = file.read(size + 1)  # never more than promised, whatever lies there
    except OSError as error:
        raise NotReconstructableError(f"the input can't be read: {error.strerror}") from error
    if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
        raise NotReconstructableError("the input is not the file that was announced")
    return content


def write_at_once(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it: beside its place first, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp keeps it to us, but others are to read it
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
