"""Managers that are no bottleneck: one process on uvloop whose HTTP is written by hand.

`python -m bench.manager_stub`. `bench.stub` is simpler, but its aiohttp would be measured along with
the faster rivals. Prints one line of JSON with its address when it listens. Latency and the share of
503 answers are set while it runs (POST /_bench/knobs), what was asked is counted by kind (GET
/_bench/counts), POST /_bench/reset forgets counts and records.
"""

import argparse
import asyncio
import json
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, cast
from urllib.parse import unquote

import orjson
import uvloop

from sandbox.managers.signals import stop_asked

KNOBS: Final = "/_bench/knobs"
COUNTS: Final = "/_bench/counts"
RESET: Final = "/_bench/reset"
QUESTIONS: Final = ("address", "sequence", "record", "list", "update")
"""Kinds of calls that a job causes; `other` are health probes."""

_EXAM: Final = "/api/v1/exam/record"
_DEVICE: Final = "/api/v1/device/"
_SEQUENCE: Final = "/api/v1/mri/sequences/"
_SEQUENCE_BYTES: Final = 20_000
_REASONS: Final = {200: b"OK", 201: b"Created", 404: b"Not Found", 503: b"Service Unavailable"}
_END: Final = b"\r\n\r\n"


class Managers:
    """What the three managers know, and how they answer."""

    def __init__(self, latency_s: float, share_503: float, seed: int) -> None:
        self.latency_s = latency_s
        self.share_503 = share_503
        self._chance = random.Random(seed)  # noqa: S311 - a load, not a secret
        self._ids = count(1)
        self._counts: Counter[str] = Counter()
        self._records: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._sequences: dict[str, bytes] = {}
        lines = "# Pulseq sequence file\n\n[DEFINITIONS]\nMatrix 64 64\n\n[BLOCKS]\n"
        self._file = lines + "1 0 0 0 0 0 0\n" * ((_SEQUENCE_BYTES - len(lines)) // 14)
        self._address = answer(200, b'{"ip_address":"127.0.0.1:9"}')

    def respond(self, method: bytes, path: str, body: bytes) -> tuple[bytes, float]:
        """Give the whole answer to a request, and after how many seconds it is to be sent."""
        if path.startswith("/_bench/"):
            return self._bench(path, body), 0.0
        kind = _kind(method, path)
        if self.share_503 and self._chance.random() < self.share_503:
            self._counts["refused"] += 1
            self._counts[kind] += 1
            return answer(503, b'{"detail":"a refusal of the bench"}'), self.latency_s
        self._counts[kind] += 1
        return self._answer(kind, path, body), self.latency_s

    def _answer(self, kind: str, path: str, body: bytes) -> bytes:
        if kind == "record":
            return answer(201, orjson.dumps(self._make(orjson.loads(body))))
        if kind == "address":
            return self._address
        if kind == "sequence":
            return self._sequence(path.removeprefix(_SEQUENCE))
        if kind == "list":
            job = unquote(path.rpartition("/")[2])
            return answer(200, orjson.dumps(self._records.get(job, [])))
        return answer(200, b'{"status":"ok"}')

    def _make(self, wanted: dict[str, Any]) -> dict[str, Any]:
        record = {
            "id": next(self._ids),
            "data_path": wanted.get("data_path"),
            "comment": wanted.get("comment"),
            "datetime_created": datetime.now(UTC).replace(tzinfo=None).isoformat(),
        }
        self._records[str(wanted["job_id"])].append(record)
        return record

    def _sequence(self, wanted: str) -> bytes:
        if wanted not in self._sequences:
            row = {"_id": wanted, "name": "bench", "file": self._file}
            self._sequences[wanted] = answer(200, orjson.dumps(row))
        return self._sequences[wanted]

    def _bench(self, path: str, body: bytes) -> bytes:
        if path == KNOBS:
            knobs = orjson.loads(body)
            self.latency_s = knobs["latency_ms"] / 1000
            self.share_503 = knobs["share_503"]
        elif path == RESET:
            self._counts.clear()
            self._records.clear()
        told = {
            **self._counts,
            "jobs_with_record": len(self._records),
            "records": sum(map(len, self._records.values())),
        }
        return answer(200, orjson.dumps(told))


def answer(status: int, body: bytes) -> bytes:
    """Write an HTTP answer whose connection stays open."""
    return b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        _REASONS[status],
        len(body),
        body,
    )


def _kind(method: bytes, path: str) -> str:
    if path.startswith(_EXAM):
        if method == b"POST":
            return "record"
        return "list" if path.startswith(f"{_EXAM}/all/") else "update"
    if path.startswith(_SEQUENCE):
        return "sequence"
    return "address" if path.startswith(_DEVICE) and path.endswith("/ip_address") else "other"


class Talk(asyncio.Protocol):
    """One connection: requests one after the other, as all HTTP clients here send them."""

    def __init__(self, managers: Managers, loop: asyncio.AbstractEventLoop) -> None:
        self._managers = managers
        self._loop = loop
        self._taken = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from it

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole; a body has a content-length, chunks are not known."""
        self._taken += data
        while (head_end := self._taken.find(_END)) >= 0:
            head = self._taken[:head_end]
            start = head_end + len(_END)
            end = start + _length(head)
            if len(self._taken) < end:
                return
            body, self._taken = self._taken[start:end], self._taken[end:]
            method, path, _ = head[: head.find(b"\r\n")].split(b" ", 2)
            text, after_s = self._managers.respond(method, path.decode("ascii"), body)
            if after_s > 0:
                self._loop.call_later(after_s, self._send, text)
            else:
                self._send(text)

    def _send(self, text: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(text)


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    return int(lower[at + 17 :].partition(b"\r\n")[0])


async def _serve(managers: Managers) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Talk(managers, loop), "127.0.0.1", 0, backlog=1024)
    async with server, stop_asked() as stop:
        host, port = server.sockets[0].getsockname()[:2]
        print(json.dumps({"address": f"{host}:{port}"}), flush=True)
        await stop.wait()


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m bench.manager_stub", description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=5.0, help="before each answer")
    parser.add_argument("--share-503", type=float, default=0.0, help="of all answers, 0 to 1")
    parser.add_argument("--seed", type=int, default=1, help="of the choice which answers are 503")
    given = parser.parse_args()
    uvloop.run(_serve(Managers(given.latency_ms / 1000, given.share_503, given.seed)))


if __name__ == "__main__":
    main()
