"""The device's own HTTP interface, and the program around its scanner."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from models import wire
from models.scan import Command
from sandbox.device.knobs import DeviceKnobs
from sandbox.device.orders import Order, read_order
from sandbox.device.outbox import Outbox
from sandbox.device.scanner import Scan, Scanner
from sandbox.managers.answers import Answer, as_json, detail, not_valid
from sandbox.managers.journal import Journal, now
from sandbox.managers.knobs import Faults
from sandbox.managers.router import Call, Route, Router
from sandbox.managers.run import Addresses, served
from sandbox.managers.service import Service

STARTED: Final = as_json({"message": "Simulation started"})
STOPPED: Final = as_json({"message": "Simulation stopped"})
STALE: Final = detail(409, "The fencing token is not higher than the last one")
NOT_MINE: Final = not_valid("names another device", "body", "device_id")
NO_PAUSE: Final = not_valid("this device can only START and STOP", "body", "command")
WRONG_DIALECT: Final = not_valid("this device takes the other body", "body")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a device is run. With `any_device` it stands for every device that a task may name."""

    device_id: str
    lake: Path
    dialect: Literal["any", "task", "request"] = "any"
    any_device: bool = False
    scan_seconds: float = 2.0
    starts_log: Path | None = None
    requests_log: Path | None = None
    port: int = 0
    control_port: int = 0


class Device:
    """Takes orders; keeps and logs every START that it took."""

    def __init__(self, options: Options, scanner: Scanner, faults: Faults[DeviceKnobs]) -> None:
        self.starts: list[dict[str, Any]] = []
        self.journal = Journal(options.starts_log)
        self._options = options
        self._scanner = scanner
        self._faults = faults
        self._tokens: dict[str, int] = {}
        self._times: dict[str, int] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def router(self) -> Router:
        """Give the paths of both device programs that exist."""
        paths = ("/api/start-scan", "/start-scan")
        return Router([Route("POST", path, self.order) for path in paths])

    def order(self, call: Call) -> Answer:
        """Take an order, or say why not."""
        order = read_order(call.body)
        scan = self._scan(order, call)
        if (refusal := self._refusal(order)) is not None:
            return refusal
        if order.command is Command.STOP:
            task = asyncio.create_task(self._scanner.stop(scan))
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)
            return STOPPED
        token = _number(call.headers.get(wire.FENCING_TOKEN))
        if self._faults.knobs.require_fencing:
            if token is None or token <= self._tokens.get(scan.device_id, -1):
                return STALE
            self._tokens[scan.device_id] = token
        # Before the answer: whoever hears of this START finds it here, even after a kill.
        self._remember(scan, token)
        self._scanner.start(scan)
        return STARTED

    def _scan(self, order: Order, call: Call) -> Scan:
        knobs = self._faults.knobs.model_copy()
        seconds = knobs.scan_seconds
        named = order.device_id if self._options.any_device else None
        return Scan(
            order=order,
            device_id=named or self._options.device_id,
            request_id=call.headers.get(wire.REQUEST_ID),
            knobs=knobs,
            seconds=self._options.scan_seconds if seconds is None else seconds,
        )

    def _refusal(self, order: Order) -> Answer | None:
        wanted = self._options.dialect
        if wanted != "any" and (wanted == "request") != (order.dialect == "request"):
            return WRONG_DIALECT
        others = order.device_id not in (None, self._options.device_id)
        if others and not self._options.any_device:
            return NOT_MINE
        return NO_PAUSE if order.command is Command.PAUSE else None

    def _remember(self, scan: Scan, token: int | None) -> None:
        record = scan.order.record
        self._times[record] = times = self._times.get(record, 0) + 1
        start = now() | {
            "device_id": scan.device_id,
            "record_id": record,
            "times": times,  # how often this device was started for this record
            "dialect": scan.order.dialect,
            "fencing_token": token,
            "request_id": scan.request_id,
        }
        self.starts.append(start)
        self.journal.write(start)


@asynccontextmanager
async def running(options: Options, outbox: Outbox) -> AsyncIterator[tuple[Addresses, Scanner]]:
    """Run a device until the block is left; the service is called `device`."""
    faults, scanner = Faults(DeviceKnobs()), Scanner(outbox, options.lake)
    device, requests = Device(options, scanner, faults), Journal(options.requests_log)

    def starts(_call: Call) -> Answer:
        return as_json(device.starts)

    service = Service(
        "device",
        device.router(),
        faults=faults,
        journal=requests,
        controls={("GET", "starts"): starts},
        port=options.port,
    )
    try:
        async with served([service], options.control_port) as addresses:
            yield addresses, scanner
    finally:
        await scanner.close()
        device.journal.close()
        requests.close()


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None
