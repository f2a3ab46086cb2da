"""A worker's own web port, asked as an operator's monitor does."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from sandbox.kafka.ports import free_ports
from tests.integration.house import House


class Port:
    """Health and metrics of a worker that is started with `settings`."""

    def __init__(self, house: House) -> None:
        self._house = house
        (number,) = free_ports(1)
        self.settings = {"SCANHUB_WEB_PORT": str(number)}
        self._base = f"http://127.0.0.1:{number}"

    async def get(self, path: str) -> tuple[int, str]:
        answer = await self._house.http.get(self._base + path)
        return answer.status_code, answer.text

    async def ready(self) -> tuple[int, dict[str, Any]]:
        status, text = await self.get("/health/ready")
        return status, json.loads(text)

    async def becomes(self, right: Callable[[int, dict[str, Any]], bool], *, what: str) -> None:
        """Ask until the answer is right."""
        deadline, answer = time.monotonic() + 30, None
        while answer is None or not right(*answer):
            assert time.monotonic() < deadline, f"{what}: {answer}"
            answer = await self.ready()
            await asyncio.sleep(0.05)

    async def metric(self, name: str) -> str:
        """Give a metric's value as it stands in the text."""
        _, text = await self.get("/metrics")
        lines = (line.rsplit(" ", 1) for line in text.splitlines())
        return next(value for found, value in lines if found == name)


def is_ready(status: int, body: dict[str, Any]) -> bool:
    return (status, body) == (200, {"status": "ok", "outages": []})


def because(reason: str) -> Callable[[int, dict[str, Any]], bool]:
    return lambda status, body: status == 503 and reason in body["reason"]
