"""Kafka as the demo uses it: plain aiokafka, no code of the processor's."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from models import wire
from models.base import canonical
from models.results import ResultRequest, What
from models.scan import ScanJob

_POLL_MS: Final = 200
_READ: Final = (wire.SCAN_EVENTS, wire.RESULT_CHUNKS)

Headers = dict[str, bytes]


class Bus:
    """Sends jobs and requests, and reads what happens."""

    def __init__(self, bootstrap: str, topics: Sequence[str] = _READ) -> None:
        self._topics = topics
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        # Idempotent: a retry inside of the client makes no second message.
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
            await self._consumer.start()
            # Assigned, not subscribed: no group, so nothing to wait for and nothing to leave.
            self._consumer.assign([
                TopicPartition(topic, partition)
                for topic in self._topics
                for partition in await self._producer.partitions_for(topic)
            ])  # fmt: skip
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        # With the broker gone, stopping a client ends in an error or in a cancellation from inside
        # of it, which would hide why we stop. One from outside is not lost: see stopping.py.
        for client in (self._consumer, self._producer):
            with suppress(KafkaError, asyncio.CancelledError):
                await client.stop()

    async def send_job(self, job: ScanJob, request_id: str) -> None:
        """Ask for a scan. The header makes a repeat harmless: it names the request."""
        await self._producer.send_and_wait(
            wire.SCAN_JOBS,
            job.to_bytes(),
            key=job.device_id.encode(),
            headers=[(wire.REQUEST_ID, request_id.encode())],
        )

    async def ask_image(self, request_id: str, record_id: int | str) -> None:
        """Ask for a record's image; the answer's parts have `request_id` as their key."""
        request = ResultRequest(request_id=request_id, record_id=record_id, what=What.IMAGE)
        await self._producer.send_and_wait(
            wire.RESULT_REQUESTS, request.to_bytes(), key=canonical(record_id).encode()
        )

    async def read(self) -> list[tuple[str, str, Headers, bytes]]:
        """Give what came meanwhile, as (topic, key, headers, value); waits a moment if nothing."""
        batches = await self._consumer.getmany(timeout_ms=_POLL_MS)
        return [
            (message.topic, (message.key or b"").decode(), dict(message.headers), message.value)
            for messages in batches.values()
            for message in messages
            if message.value is not None
        ]
