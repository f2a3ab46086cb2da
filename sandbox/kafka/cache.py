"""The user's cache: jars and a formatted data folder, fetched or made once and shared by all runs.

It also holds the locks, which end with their process, however that one ends.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sandbox.kafka.errors import KafkaUnavailableError
from sandbox.processes import POLL_SECONDS

CACHE_VARIABLE: Final = "SCANHUB_SANDBOX_CACHE"
_FILL_SECONDS: Final = 600  # how long another process may take to fetch jars over a slow line


def cache_folder() -> Path:
    """Give the cache: the folder in SCANHUB_SANDBOX_CACHE, else one among the user's caches."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser().absolute()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "scanhub-sandbox"


@contextmanager
def filling_cache() -> Iterator[Path]:
    """Give the cache to one process at a time, so that none reads what another still writes."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KafkaUnavailableError(
            f"the cache folder {folder} can't be made ({error.strerror}); set {CACHE_VARIABLE}"
        ) from error
    lock = FileLock(folder / "lock")
    deadline = time.monotonic() + _FILL_SECONDS
    while not lock.acquire():
        if time.monotonic() > deadline:
            raise KafkaUnavailableError(f"another process holds {lock.path} for too long")
        time.sleep(POLL_SECONDS)
    try:
        yield folder
    finally:
        lock.release()


class FileLock:
    """A lock between processes; the kernel drops it when its owner is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether it is ours."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Take it if it is free; taking it twice is fine."""
        if self._descriptor is not None:
            return True
        try:
            import fcntl  # noqa: PLC0415 - there is none on Windows
        except ImportError as error:
            raise KafkaUnavailableError("the embedded Kafka needs Linux or macOS") from error
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give it back; the file stays, as deleting it would let two owners in."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
