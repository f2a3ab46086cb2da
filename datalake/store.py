"""The data lake as the agents see it; everything that blocks runs in threads of its own."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import aiofiles
from aiofiles.threadpool.binary import AsyncBufferedReader

from datalake import copying, raw
from datalake.copying import Pace, Stored
from datalake.errors import FileMissing, sort_os_error
from datalake.identity import DicomIdentity, identify
from datalake.paths import RECORDS, check_record, open_contained, open_folder, split
from models.errors import PoisonError, ScanHubError, TransientError
from models.results import AnswerStatus
from models.wire import CHUNK_SIZE

T = TypeVar("T")

SETTLE_S: Final = 60.0
"""Seconds without a change after which a file that is not whole counts as broken, not as young."""

_THREADS = 8  # copies, hashes and reads at a time; a dead network mount holds no more than these


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An image that lies at the conventional place; `location` is the writer's, not our copy."""

    location: str
    size: int
    sha256: str
    identity: DicomIdentity


class DataLake:
    """A folder that devices, reconstruction workers and we share.

    `root` may be a link; nothing below it is followed. `chunk` is in bytes, and so is
    `keep_free`: no file is taken in that would leave less free. All methods raise
    TransientError for what a person can repair (disk full, mount lost, rights missing).
    """

    def __init__(self, root: Path, *, chunk: int = CHUNK_SIZE, keep_free: int = 0) -> None:
        self.root = root
        self._keep_free = keep_free
        self._chunk = chunk
        # Not the loop's own pool: the resolver of host names lives there, and copies of gigabytes
        # or a hanging mount would stop every HTTP call of the worker.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="datalake")

    async def take_in(
        self, record: str, location: str, *, size: int, sha256: str, suffix: str
    ) -> Stored:
        """Copy a file into the record's folder and verify the copy; the source is left alone.

        `record` is the canonical id, `location` relative to the root, `size` in bytes, `suffix`
        our name for the kind of file (`raw.npy`, `image.dcm`). May be repeated any number of
        times. Raises PoisonError (PATH_REFUSED, FILE_REFUSED) for the sender's faults,
        PermanentError if something else lies under our name, FileMissing, TransientError.
        """
        wanted = copying.plan(record, size, sha256, suffix)
        return await self._run(
            lambda stop: copying.copy_in(
                self.root, location, wanted, Pace(self._chunk, stop, self._keep_free)
            )
        )

    async def sweep(self, record: str) -> int:
        """Remove temporary files older than an hour from a record's folder; give their number."""
        return await self._run(lambda _: copying.sweep(self.root, record))

    async def check(self, location: str, *, size: int, sha256: str) -> AnswerStatus:
        """Read a stored file again: OK, MISSING, or CORRUPT where it is not what was stored."""

        def compare(fd: int, stop: threading.Event) -> bool:
            if os.fstat(fd).st_size != size:
                return False
            return copying.hash_file(fd, Pace(self._chunk, stop)) == (size, sha256)

        try:
            same = await self.work_on(location, compare)
        except FileMissing:
            return AnswerStatus.MISSING
        except PoisonError:
            return AnswerStatus.CORRUPT  # a link or a folder lies where our file was
        return AnswerStatus.OK if same else AnswerStatus.CORRUPT

    async def get_data_from_file(
        self, location: str, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """Give a file's bytes in chunks of `chunk_size` (the last one may be shorter).

        A consumer that stops early wraps it in `contextlib.aclosing`, so that the file is closed
        there and then. Raises as open_contained does.
        """
        file = await self._open(location)
        try:
            while block := await file.read(chunk_size):
                yield block
        except OSError as error:
            raise sort_os_error(error, "the stored file") from None
        finally:
            await file.close()

    async def remove_source(
        self, location: str, *, size: int | None = None, sha256: str | None = None
    ) -> bool:
        """Remove a sender's file that was taken in; tell whether it is gone. Best effort.

        Nothing below `records/` is removed. With `size` (bytes) and `sha256` only a file that is
        still the announced one goes: a device may already have written its next under the name.
        """
        try:
            if size is not None and sha256 is not None:
                status = await self.check(location, size=size, sha256=sha256)
                if status is not AnswerStatus.OK:
                    return status is AnswerStatus.MISSING
            return await self._run(lambda _: _unlink(self.root, location))
        except ScanHubError:
            return False

    async def find_conventional(self, record: str) -> Found | None:
        """Look for `records/{record}/record-{record}.dcm`, which a foreign worker left unannounced.

        None: not there, or still being written (changed while we read, or not whole and changed
        within SETTLE_S): ask again later. Raises PoisonError FILE_REFUSED for a file that has
        settled and is not a whole DICOM image.
        """
        location = f"{RECORDS}/{check_record(record)}/record-{record}.dcm"

        def look(fd: int, stop: threading.Event) -> Found | None:
            before = _mark(fd)
            try:
                identity = identify(fd)
                size, sha256 = copying.hash_file(fd, Pace(self._chunk, stop))
            except PoisonError:
                if _mark(fd) != before or abs(time.time() - os.fstat(fd).st_mtime) < SETTLE_S:
                    return None
                raise
            if _mark(fd) != before:
                return None
            return Found(location=location, size=size, sha256=sha256, identity=identity)

        try:
            return await self.work_on(location, look)
        except FileMissing:
            return None

    async def inspect_raw(self, location: str) -> raw.RawKind:
        """Check the head of a raw data file; raises PoisonError for pickled or cut data."""
        return await self.work_on(location, lambda fd, _: raw.inspect_raw(fd))

    async def free_bytes(self) -> int:
        """Give the bytes that we may still write; raises TransientError where we may not at all."""

        def ask(_: threading.Event) -> int:
            try:
                disk = os.statvfs(self.root)
            except OSError as error:
                raise sort_os_error(error, "the data lake") from None
            if not os.access(self.root, os.R_OK | os.W_OK | os.X_OK):
                raise TransientError("the data lake can't be written: see its rights", sent=False)
            return disk.f_bavail * disk.f_frsize

        return await self._run(ask)

    async def work_on(self, location: str, work: Callable[[int, threading.Event], T]) -> T:
        """Open a file safely and run `work(descriptor, stop)` on it in a thread."""

        def opened(stop: threading.Event) -> T:
            fd = open_contained(self.root, location)
            try:
                return work(fd, stop)
            except OSError as error:
                raise sort_os_error(error, "the stored file") from None
            finally:
                os.close(fd)

        return await self._run(opened)

    async def _run(self, work: Callable[[threading.Event], T]) -> T:
        """Run `work` in a thread; on cancellation tell it to stop, and wait until it has.

        Without the wait a cancelled copy would go on after its owner is gone, and its temporary
        file would still be there when the next one looks.
        """
        stop = threading.Event()
        future = self._threads.submit(work, stop)
        waiting = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            stop.set()
            if not future.cancel():
                waiting.add_done_callback(_saw)
                await asyncio.wait([waiting])
            raise

    async def _open(self, location: str) -> AsyncBufferedReader:
        async def opening() -> AsyncBufferedReader:
            # The name is not the file's: Python shows it in warnings. The opener does the work.
            return await aiofiles.open(
                "stored file",
                "rb",
                opener=lambda _name, _flags: open_contained(self.root, location),
                executor=self._threads,
            )

        task = asyncio.ensure_future(opening())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            with suppress(ScanHubError):
                await (await task).close()  # opened while we were told to stop
            raise


def _saw(waiting: asyncio.Future[Any]) -> None:
    """Take the error of work that was told to stop; else asyncio logs it as forgotten."""
    if not waiting.cancelled():
        waiting.exception()


def _mark(fd: int) -> tuple[int, int, int]:
    facts = os.fstat(fd)
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _unlink(root: Path, location: str) -> bool:
    *folders, name = split(location)
    # Also in other cases of letters: some file systems don't tell them apart.
    if (folders or [name])[0].casefold() == RECORDS:
        return False
    with open_folder(root, folders) as folder:
        try:
            os.unlink(name, dir_fd=folder)  # removes a link itself, never what it points at
        except FileNotFoundError:
            return True
        except OSError as error:
            raise sort_os_error(error) from None
    return True
