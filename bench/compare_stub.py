"""The driver's side of the manager stub: its knobs and counts, and how fast it can answer."""

import asyncio
import json
import time
import urllib.request
from functools import partial
from itertools import cycle
from typing import Final, cast

import uvloop

from bench.manager_stub import COUNTS, KNOBS, QUESTIONS, RESET

NEEDED_PER_SECOND: Final = 8000.0
_CONNECTIONS: Final = 64
_RECORD: Final = b'{"job_id":"check","data_path":"unknown","comment":"a check of the stub"}'
_ASKED: Final = (
    b"GET /api/v1/device/mri-0001/ip_address HTTP/1.1\r\nhost: stub\r\n\r\n",
    b"GET /api/v1/mri/sequences/65a1b2c3d4e5f60718293a00 HTTP/1.1\r\nhost: stub\r\n\r\n",
    b"POST /api/v1/exam/record HTTP/1.1\r\nhost: stub\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_RECORD), _RECORD),
)


class StubControl:
    """Sets the stub's latency and share of 503, and reads what it was asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def knobs(self, *, latency_ms: float, share_503: float = 0.0) -> None:
        """Set both."""
        self._ask(KNOBS, json.dumps({"latency_ms": latency_ms, "share_503": share_503}).encode())

    def reset(self) -> None:
        """Forget counts and records."""
        self._ask(RESET, b"{}")

    def counts(self) -> dict[str, int]:
        """Give how often each kind was asked since the reset, `refused`, `records` that exist."""
        return self._ask(COUNTS, None)

    def _ask(self, path: str, body: bytes | None) -> dict[str, int]:
        asked = urllib.request.Request(f"http://{self.address}{path}", body)
        with self._opener.open(asked, timeout=10) as answered:
            told: dict[str, int] = json.loads(answered.read())
        return told


def questions(counts: dict[str, int]) -> int:
    """Give how many calls were caused by jobs."""
    return sum(counts.get(kind, 0) for kind in QUESTIONS)


def check_rate(control: StubControl, seconds: float, latency_ms: float) -> float:
    """Load the stub without latency, with a third each of the three questions; gives requests/s.

    Over 64 connections, each asking when it was answered; the client is as light as the stub, but
    needs a core of its own. Afterwards the stub has the given latency and has forgotten the load.
    """
    control.knobs(latency_ms=0)
    try:
        return uvloop.run(_load(control.address, seconds))
    finally:
        control.knobs(latency_ms=latency_ms)
        control.reset()


class _Asker(asyncio.Protocol):
    """Asks, waits for the whole answer, asks again."""

    def __init__(self, first: int) -> None:
        self.answered = 0
        self._next = cycle(_ASKED[first:] + _ASKED[:first])
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from it
        self._transport.write(next(self._next))

    def data_received(self, data: bytes) -> None:
        if self._missing == 0:
            # The stub writes an answer at once, so its head comes in one piece.
            head, _, rest = data.partition(b"\r\n\r\n")
            self._missing = int(head.rpartition(b"content-length: ")[2])
            data = rest
        self._missing -= len(data)
        if self._missing == 0:
            self.answered += 1
            self._transport.write(next(self._next))


def _same(asker: _Asker) -> _Asker:
    return asker


async def _load(address: str, seconds: float) -> float:
    host, _, port = address.partition(":")
    loop = asyncio.get_running_loop()
    askers = [_Asker(number % len(_ASKED)) for number in range(_CONNECTIONS)]
    opened = [await loop.create_connection(partial(_same, a), host, int(port)) for a in askers]
    began, before = time.monotonic(), sum(asker.answered for asker in askers)
    await asyncio.sleep(seconds)
    rate = (sum(asker.answered for asker in askers) - before) / (time.monotonic() - began)
    for transport, _ in opened:
        transport.abort()
    return rate
