"""How a device's messages leave it: to Kafka, or into a list where there is none."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

Headers = list[tuple[str, bytes]]


class Outbox(Protocol):
    """Where messages go."""

    async def send(self, topic: str, key: str, value: bytes, headers: Headers) -> bool:
        """Send a message and wait for the broker's word; False when there is none."""


@dataclass
class ListOutbox:
    """Keeps messages as (topic, key, value, headers)."""

    sent: list[tuple[str, str, bytes, Headers]] = field(default_factory=list)

    async def send(self, topic: str, key: str, value: bytes, headers: Headers) -> bool:
        """Keep a message."""
        self.sent.append((topic, key, value, headers))
        return True


@dataclass
class KafkaOutbox:
    """Sends with aiokafka, whose default partitioner is murmur2 of the key, as Java's is."""

    producer: AIOKafkaProducer
    prefix: str = ""

    async def send(self, topic: str, key: str, value: bytes, headers: Headers) -> bool:
        """Send a message."""
        try:
            await self.producer.send_and_wait(
                self.prefix + topic, value, key=key.encode(), headers=headers
            )
        except KafkaError as error:
            print(f"{topic}: not sent, {type(error).__name__}", file=sys.stderr, flush=True)
            return False
        return True


@asynccontextmanager
async def kafka_outbox(servers: str, prefix: str) -> AsyncIterator[Outbox]:
    """Give an outbox to Kafka until the block is left."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    try:
        await producer.start()
        yield KafkaOutbox(producer, prefix)
    finally:
        await producer.stop()
