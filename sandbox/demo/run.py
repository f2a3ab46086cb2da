"""The story: send jobs, follow their events, fetch each image, check it. Everything over Kafka."""

import time
from collections.abc import Callable, Sequence
from typing import Final
from uuid import uuid4

from pydantic import ValidationError

from models import wire
from models.events import ScanEvent
from sandbox.demo.answer import Answer, BadAnswerError, Fetched
from sandbox.demo.bus import Bus, Headers
from sandbox.demo.scan import Scan
from sandbox.demo.show import Show

ASK_AGAIN_S: Final = 5.0
"""A requester that sees no end asks again: downloads promise no more."""


class Run:
    """Some scans from their jobs to their images.

    One loop and no tasks: each message that comes is a step, so nothing can be left half done.
    """

    def __init__(self, bus: Bus, scans: Sequence[Scan], show: Show) -> None:
        self.fetched: dict[str, Fetched] = {}
        self.problems: dict[str, str] = {}
        self._bus = bus
        self._show = show
        self._scans = {scan.planned.request_id: scan for scan in scans}
        self._asked: dict[str, tuple[Scan, Answer]] = {}
        self._asked_at: dict[str, float] = {}

    async def to_the_end(self, limit_s: float, check: Callable[[], None]) -> None:
        """Run until every scan has an image or a problem; `check` raises if a part has ended."""
        deadline = time.monotonic() + limit_s
        await self._send_due()
        while self._open():
            for topic, key, headers, value in await self._bus.read():
                if topic == wire.SCAN_EVENTS:
                    self._take_event(value)
                elif key in self._asked:
                    self._take_part(key, headers, value)
            await self._send_due()
            await self._ask_due()
            check()
            if time.monotonic() > deadline:
                for scan in self._open():
                    self._settle(scan, f"no image within {limit_s:g} s")

    def _open(self) -> list[Scan]:
        settled = self.fetched.keys() | self.problems.keys()
        return [scan for name, scan in self._scans.items() if name not in settled]

    async def _send_due(self) -> None:
        """Send a device's next job when its scanner is done with the one before, as people do."""
        busy = {s.planned.device_id for s in self._scans.values() if s.sent and not s.frees_device}
        for name, scan in self._scans.items():
            device = scan.planned.device_id
            if scan.sent or device in busy:
                continue
            busy.add(device)
            scan.sent = True
            await self._bus.send_job(scan.planned.job, name)
            self._show.say(scan, "job sent")

    def _take_event(self, value: bytes) -> None:
        event = ScanEvent.from_bytes(value)
        scan = self._scans.get(event.request_id or "")
        if scan is None or not scan.take(event):
            return
        self._show.event(scan, event)
        if scan.over and not scan.completed:
            self._settle(scan, f"ended as {scan.state}: {scan.cause or 'no cause given'}")

    async def _ask_due(self) -> None:
        now = time.monotonic()
        for scan in self._open():
            name = scan.planned.request_id
            if not scan.completed or scan.record_id is None:
                continue
            if now - self._asked_at.get(name, -ASK_AGAIN_S) < ASK_AGAIN_S:
                continue
            self._asked_at[name] = now
            request_id = str(uuid4())
            self._asked[request_id] = (scan, Answer())
            await self._bus.ask_image(request_id, scan.record_id)

    def _take_part(self, request_id: str, headers: Headers, value: bytes) -> None:
        scan, answer = self._asked[request_id]
        if scan not in self._open():
            return
        try:
            fetched = answer.take(headers, value)
        except (BadAnswerError, ValidationError, KeyError, ValueError) as error:
            why = str(error) if isinstance(error, BadAnswerError) else type(error).__name__
            self._settle(scan, f"its image did not come: {why}")
            return
        if fetched is not None:
            self.fetched[scan.planned.request_id] = fetched
            self._show.say(scan, "image fetched")

    def _settle(self, scan: Scan, problem: str) -> None:
        self.problems[scan.planned.request_id] = problem
        self._show.say(scan, problem)
