"""Managers and scanners in one light process: they answer at once but for a given latency.

`python -m bench.stub [--latency-ms 5]`. The simulated ones in `sandbox/` check every body and write
every request to a file; here that would be measured instead of the processor. Prints one line of
JSON with its address when it listens. Devices whose id begins with `hangs` take a START and never
answer.
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from aiohttp import web

from models import wire
from sandbox.managers.signals import stop_asked

STARTS: Final = "/_bench/starts"
HANGS: Final = "hangs"
_HANG_S: Final = 30.0  # longer than any time limit of a client
_SEQUENCE_BYTES: Final = 20_000
_MOST_BODY: Final = 64 * 1024 * 1024


class Stub:
    """Keeps the records that it was asked for, and when which START came."""

    def __init__(self, latency_s: float) -> None:
        self.address = ""
        self.hanging_address = ""
        self._latency_s = latency_s
        self._ids = count(1)
        self._records: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._starts: list[tuple[str, float]] = []
        self._lines = "# Pulseq sequence file\n\n[DEFINITIONS]\nMatrix 64 64\n\n[BLOCKS]\n"
        self._lines += "1 0 0 0 0 0 0\n" * ((_SEQUENCE_BYTES - len(self._lines)) // 14)

    def routes(self) -> list[web.RouteDef]:
        """Give the paths that a processor asks."""
        exam, device = "/api/v1/exam", "/api/v1/device"
        return [
            web.get(f"{device}/{{device_id}}/ip_address", self.ip_address),
            web.get("/api/v1/mri/sequences/{sequence_id}", self.sequence),
            web.post(f"{exam}/record", self.create_record),
            web.get(f"{exam}/record/all/{{job_id}}", self.list_records),
            web.put(f"{exam}/record/{{record_id}}/", self.update_record),
            web.post("/api/start-scan", self.start),
            web.get(STARTS, self.starts),
        ]

    async def ip_address(self, request: web.Request) -> web.Response:
        """Say where a device is: here, on one of two ports."""
        hangs = request.match_info["device_id"].startswith(HANGS)
        return await self._answer({"ip_address": self.hanging_address if hangs else self.address})

    async def sequence(self, request: web.Request) -> web.Response:
        """Give a sequence of 20 kB."""
        wanted = request.match_info["sequence_id"]
        return await self._answer({"_id": wanted, "name": "bench", "file": self._lines})

    async def create_record(self, request: web.Request) -> web.Response:
        """Make a record."""
        wanted = await request.json()
        record = {
            "id": next(self._ids),
            "data_path": wanted.get("data_path"),
            "comment": wanted.get("comment"),
            "datetime_created": datetime.now(UTC).replace(tzinfo=None).isoformat(),
        }
        self._records[str(wanted["job_id"])].append(record)
        return await self._answer(record, 201)

    async def list_records(self, request: web.Request) -> web.Response:
        """Give a job's records."""
        return await self._answer(self._records.get(request.match_info["job_id"], []))

    async def update_record(self, request: web.Request) -> web.Response:
        """Take a change and forget it."""
        await request.read()
        return await self._answer({"id": int(request.match_info["record_id"])})

    async def start(self, request: web.Request) -> web.Response:
        """Take a START; its body is read, as a device would."""
        name = request.headers.get(wire.REQUEST_ID, "")
        self._starts.append((name, time.monotonic()))
        await request.read()
        if request.host == self.hanging_address:
            await asyncio.sleep(_HANG_S)
        return await self._answer({"message": "Simulation started"})

    async def starts(self, request: web.Request) -> web.Response:
        """Give the STARTs taken after the first `skip`: request id, and when it came."""
        skip = int(request.query.get("skip", 0))
        return web.json_response(self._starts[skip:])

    async def _answer(self, body: Any, status: int = 200) -> web.Response:
        await asyncio.sleep(self._latency_s)
        return web.json_response(body, status=status)


async def _run(latency_s: float) -> None:
    stub = Stub(latency_s)
    app = web.Application(client_max_size=_MOST_BODY)
    app.add_routes(stub.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        for _ in range(2):
            await web.TCPSite(runner, "127.0.0.1", 0).start()
        stub.address, stub.hanging_address = (f"{host}:{port}" for host, port in runner.addresses)
        async with stop_asked() as stop:
            print(json.dumps({"address": stub.address}), flush=True)
            await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m bench.stub", description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=5.0, help="before each answer")
    asyncio.run(_run(parser.parse_args().latency_ms / 1000))


if __name__ == "__main__":
    main()
