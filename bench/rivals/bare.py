"""`bare`: the fastest loop that can be written with the same client libraries, and no promise kept.

`python -m bench.rivals.bare`. aiokafka on uvloop, httpx on aiohttp's transport, caches with single
flight, orjson, the sequence spliced in as bytes, batches of 1 MB, 200 jobs in flight. No state, no
order within a key, no retries; offsets are committed by the clock, whatever is open.
"""

import argparse
import asyncio
import time
from typing import Any, Final

import httpx
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.rivals.shared import (
    LINE_READY,
    RECORD_PATH,
    address_path,
    parser,
    record_body,
    sequence_path,
)
from managers.cache import Cache
from managers.transport import TrueTransport, tls_context
from models import wire
from sandbox.managers.signals import stop_asked

IN_FLIGHT: Final = 200
_CONNECTIONS: Final = 100
_CACHE_S: Final = 5.0  # as SCANHUB_CACHE_S
_CACHE_BYTES: Final = 64 * 1024 * 1024
_BATCH_BYTES: Final = 1024 * 1024
_POLL_MS: Final = 200


class Bare:
    """Takes jobs, asks, sends tasks; as many at once as `IN_FLIGHT`."""

    def __init__(self, managers: str, topic: str, producer: AIOKafkaProducer) -> None:
        self._base = f"http://{managers}"
        self._topic = topic
        self._producer = producer
        self._client = httpx.AsyncClient(
            transport=TrueTransport(tls=tls_context(None), connections=_CONNECTIONS),
            trust_env=False,
            timeout=5.0,
        )
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._addresses = self._cache()
        self._sequences = self._cache()

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Handle what comes until cancelled. An error of a job ends the loop: nothing is retried."""
        async with self._client, asyncio.TaskGroup() as group:
            while True:
                batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=IN_FLIGHT)
                for messages in batches.values():
                    for message in messages:
                        await self._room.acquire()
                        group.create_task(self._handle(message))

    async def _handle(self, message: Any) -> None:
        try:
            job = orjson.loads(message.value)
            device, sequence = job["device_id"], job["sequence_id"]
            _, found = await asyncio.gather(
                self._addresses.get(device, lambda: self._get(address_path(device))),
                self._sequences.get(sequence, lambda: self._get(sequence_path(sequence))),
            )
            made = await self._client.post(
                self._base + RECORD_PATH,
                content=orjson.dumps(record_body(job)),
                headers={"content-type": "application/json"},
            )
            made.raise_for_status()
            await self._producer.send_and_wait(
                self._topic,
                _task(job, found, orjson.loads(made.content)["id"]),
                key=message.key,
                headers=list(message.headers),
            )
        finally:
            self._room.release()

    async def _get(self, path: str) -> bytes:
        answer = await self._client.get(self._base + path)
        return answer.raise_for_status().content

    def _cache(self) -> Cache[str, bytes]:
        return Cache(ttl_s=_CACHE_S, max_bytes=_CACHE_BYTES, size=len, clock=time.monotonic)


def _task(job: dict[str, Any], sequence: bytes, record_id: int) -> bytes:
    """Write the device's task; the sequence is not parsed."""
    return (
        b'{"device_id":%b,"record_id":%d,"command":"START","parametrized_sequence":'
        b'{"acquisition_limits":%b,"sequence_parameters":%b,"sequence":%b}}'
    ) % (
        orjson.dumps(job["device_id"]),
        record_id,
        orjson.dumps(job["acquisition_limits"]),
        orjson.dumps(job["sequence_parameters"]),
        sequence,
    )


async def _run(given: argparse.Namespace) -> None:
    consumer = AIOKafkaConsumer(
        given.prefix + wire.SCAN_JOBS,
        bootstrap_servers=given.kafka,
        group_id=f"{given.prefix}bare",
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=given.kafka,
        acks="all",  # as ours; on one broker it costs nothing
        max_batch_size=_BATCH_BYTES,
        linger_ms=given.linger_ms,
    )
    async with producer, consumer, stop_asked() as stop:
        bare = Bare(given.managers, given.prefix + wire.DEVICE_TASKS, producer)
        running = asyncio.create_task(bare.run(consumer))
        print(LINE_READY, flush=True)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (running, stopping):
            task.cancel()
        ended, _ = await asyncio.gather(running, stopping, return_exceptions=True)
        if ended is not None and not isinstance(ended, asyncio.CancelledError):
            raise ended


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    options = parser("bare", __doc__)
    options.add_argument("--linger-ms", type=int, default=0, help="0: as ours")
    uvloop.run(_run(options.parse_args()))


if __name__ == "__main__":
    main()
