"""The scanner: runs scans, any number side by side, as the old devices did.

A scan reports RUNNING at 0, 25, 50, 75 and 100 %, then delivers its data, and says DONE last: DONE
means that nothing more is to come.
"""

import asyncio
import hashlib
import io
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from models import wire
from models.results import ResultUpload
from models.scan import ScanStatus, StatusState
from sandbox.device.knobs import DeviceKnobs
from sandbox.device.orders import Order
from sandbox.device.outbox import Headers, Outbox
from sandbox.phantom import kspace, phantom, seed_of

STEPS: Final = (0, 25, 50, 75, 100)  # percent
MEDIA_TYPE: Final = "application/x-npy"
_AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One scan: what was ordered, for which device, and under which faults."""

    order: Order
    device_id: str
    request_id: str | None
    knobs: DeviceKnobs
    seconds: float

    @property
    def headers(self) -> Headers:
        """What every message of this scan carries."""
        return [] if self.request_id is None else [(wire.REQUEST_ID, self.request_id.encode())]


class Scanner:
    """Runs scans. `lake` is the data lake's folder."""

    def __init__(self, outbox: Outbox, lake: Path) -> None:
        self._outbox = outbox
        self._lake = lake
        self._running: dict[asyncio.Task[None], str] = {}

    def start(self, scan: Scan) -> None:
        """Begin a scan; it goes on in the background."""
        task = asyncio.create_task(self._run(scan))
        self._running[task] = scan.order.record
        task.add_done_callback(lambda done: self._running.pop(done, None))

    async def stop(self, scan: Scan) -> None:
        """End the scans of a record, and say ABORTED if there were any."""
        mine = [task for task, record in self._running.items() if record == scan.order.record]
        await _cancelled(mine)
        if mine:
            await self._report(scan, 0, StatusState.ABORTED)

    async def close(self) -> None:
        """End all scans without a word, as a power cut would."""
        await _cancelled(list(self._running))

    async def idle(self) -> None:
        """Wait until no scan runs."""
        while self._running:
            await asyncio.wait(list(self._running))

    async def _run(self, scan: Scan) -> None:
        fail_at = scan.knobs.fail_at_percent
        for percent in STEPS:
            if fail_at is not None and percent >= fail_at:
                await self._report(scan, fail_at, StatusState.FAILED, "simulated failure")
                return
            await self._report(scan, percent, StatusState.RUNNING)
            if percent != STEPS[-1]:
                await asyncio.sleep(scan.seconds / (len(STEPS) - 1))
        if scan.knobs.upload:
            try:
                upload = await asyncio.to_thread(self._acquire, scan)
            except OSError as error:
                why = f"the data could not be stored: {error.strerror}"
                await self._report(scan, STEPS[-1], StatusState.FAILED, why)
                return
            await self._announce(scan, upload)
        await self._report(scan, STEPS[-1], StatusState.DONE)

    def _acquire(self, scan: Scan) -> ResultUpload:
        """Measure the phantom and put the k-space, complex64, into the data lake in one step."""
        image = phantom(*scan.order.matrix, seed_of(scan.order.record))
        buffer = io.BytesIO()
        np.save(buffer, kspace(image).astype(np.complex64), allow_pickle=False)
        content = buffer.getvalue()
        folder = Path("incoming", _folder_name(scan.device_id))
        location = folder / f"{scan.order.record}.npy"
        (self._lake / folder).mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self._lake / folder)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp keeps it to us, but others are to read it
        Path(temporary).replace(self._lake / location)
        return ResultUpload(
            record_id=scan.order.record_id,
            upload_id=wire.make_id(scan.order.record, "upload"),
            location=location.as_posix(),
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            device_id=scan.device_id,
            file_name="kspace.npy",
            media_type=MEDIA_TYPE,
        )

    async def _announce(self, scan: Scan, upload: ResultUpload) -> None:
        """Tell of the data until the broker has it: nobody else knows that they exist."""
        message = (wire.RESULT_UPLOADS, scan.order.record, upload.to_bytes(), scan.headers)
        while True:
            if await self._outbox.send(*message):
                return
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _report(
        self, scan: Scan, percent: int, state: StatusState, message: str | None = None
    ) -> None:
        """Send a status, once: the next one makes up for a lost one."""
        if scan.knobs.silent:
            return
        status = ScanStatus(
            record_id=scan.order.record_id,
            status_percent=percent,
            device_id=scan.knobs.status_device_id or scan.device_id,
            state=state,
            message=message,
            at=datetime.now(UTC),
        )
        record = scan.order.record
        await self._outbox.send(wire.SCAN_STATUS, record, status.to_bytes(), scan.headers)


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _folder_name(device_id: str) -> str:
    """Give a folder's name for a device id, which may be any text (`..` and slashes too)."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", device_id)[:64]
    return name if name == device_id else f"{name}-{wire.make_id(device_id, 'folder')[:8]}"
