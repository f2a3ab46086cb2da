"""`http`: the old manager's way. `python -m bench.rivals.http`.

A handler of HTTP requests that makes a new httpx client for each call. A job is a POST to /jobs;
the device task is its answer. (The old manager posted it to the device; here no rival does.)
"""

import argparse
import asyncio
import json
from typing import Any

import httpx
from aiohttp import web

from bench.rivals.shared import (
    RECORD_PATH,
    address_path,
    device_task,
    record_body,
    sequence_path,
)
from sandbox.managers.signals import stop_asked


class OldWay:
    """Asks the managers as the old one did."""

    def __init__(self, managers: str) -> None:
        self._base = f"http://{managers}"

    async def handle(self, request: web.Request) -> web.Response:
        """Turn a job into its device task."""
        job = await request.json()
        await self._call("GET", address_path(job["device_id"]))
        sequence = await self._call("GET", sequence_path(job["sequence_id"]))
        record = await self._call("POST", RECORD_PATH, record_body(job))
        return web.json_response(device_task(job, sequence, record["id"]))

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with httpx.AsyncClient() as client:
            answer = await client.request(method, self._base + path, json=body)
            return answer.raise_for_status().json()


async def _run(managers: str) -> None:
    app = web.Application()
    app.add_routes([web.post("/jobs", OldWay(managers).handle)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with stop_asked() as stop:
            print(json.dumps({"address": f"{host}:{port}"}), flush=True)
            await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    options = argparse.ArgumentParser(prog="python -m bench.rivals.http", description=__doc__)
    options.add_argument("--managers", required=True, help="host:port of the manager stub")
    asyncio.run(_run(options.parse_args().managers))


if __name__ == "__main__":
    main()
