"""Sends the random messages, and waits until each is accounted for and each partition at its end."""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition
from confluent_kafka import Producer

from models import wire
from sandbox.chaos.facts import partition_of
from sandbox.chaos.fuzz.inputs import Input
from sandbox.chaos.fuzz.ledger import TOPICS, Ledger, Sent
from sandbox.chaos.fuzz.outcome import Fuzzed
from sandbox.chaos.fuzz.strategies import INPUTS
from sandbox.chaos.topics import batch, reader

SETTLE_S: Final = 150.0
"""So long after the last message was sent all must be accounted for (early ones wait for 30 s)."""
_LOOK_S: Final = 1.0
_LONGEST: Final = 300
_FLUSH_S: Final = 60.0


async def fuzz(
    bootstrap: str,
    prefix: str,
    partitions: int,
    inputs: Iterable[Input],
    *,
    group: str,
    settle_s: float = SETTLE_S,
) -> Fuzzed:
    """Send everything and follow it to its end; `group` is the workers' consumer group."""
    began = time.monotonic()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        async with reader(bootstrap, prefix, TOPICS, partitions, new_only=True) as consumer:
            sender = _Sender(bootstrap, prefix)
            follower = _Follower(consumer, admin, group, prefix)
            sending = asyncio.create_task(asyncio.to_thread(sender.send, inputs))
            while not sending.done():
                await follower.read()
            await sending
            for sent in sender.sent:
                follower.ledger.expect(sent)
            deadline = time.monotonic() + settle_s
            held = sorted(follower.ledger.held)
            while not await follower.at_end(partitions) and time.monotonic() < deadline:
                sender.release(held, partitions)
            sender.release(held, partitions)
    finally:
        await admin.close()
    ledger = follower.ledger
    return Fuzzed(
        count=len(sender.sent),
        seconds=round(time.monotonic() - began, 1),
        ends=dict(ledger.ends.most_common()),
        causes=dict(ledger.causes.most_common()),
        problems=[*sender.refused, *follower.problems()],
    )


class _Follower:
    """Reads what the messages leave behind, and sees how far the workers' group is."""

    def __init__(
        self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, group: str, prefix: str
    ) -> None:
        self.ledger = Ledger()
        self._consumer = consumer
        self._admin = admin
        self._group = group
        self._prefix = prefix
        self._behind: dict[str, int] = {}

    async def read(self) -> None:
        """Take what came within a moment."""
        for message in await batch(self._consumer, self._prefix):
            self.ledger.take(message)

    async def at_end(self, partitions: int) -> bool:
        """Read for a moment; tell whether all is accounted for, and acknowledged."""
        look = time.monotonic() + _LOOK_S
        while time.monotonic() < look:
            await self.read()
        told = await self._admin.list_consumer_group_offsets(self._group)
        places = [
            TopicPartition(self._prefix + topic, n) for topic in INPUTS for n in range(partitions)
        ]
        ends = await self._consumer.end_offsets(places)
        committed: dict[tuple[str, int], int] = {}
        self._behind.clear()
        for place in places:
            topic, found = place.topic.removeprefix(self._prefix), told.get(place)
            at = committed[topic, place.partition] = 0 if found is None else max(found.offset, 0)
            if at < ends[place]:
                self._behind[f"{topic}-{place.partition}"] = ends[place] - at
        return self.ledger.sweep(committed) == 0 and not self._behind

    def problems(self) -> list[str]:
        """Say what is not as it should be at the end."""
        lost = [
            f"{sent.what.mark} at {sent.here} is no dead letter and left no other trace: key"
            f" {sent.what.key!r}, {(sent.what.value or b'')[:_LONGEST]!r}, {sent.what.headers[1:]}"
            for sent, _ in self.ledger.open.values()
        ]
        stuck = [
            f"{place} is stuck: {count} are not acknowledged"
            for place, count in self._behind.items()
        ]
        return [*(f"a bug was met: {one}" for one in self.ledger.internal), *lost, *stuck]


class _Sender:
    """Sends in a thread of its own, by librdkafka: it may send what has neither key nor value."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._prefix = prefix
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "logger": None,
                "log_level": 0,
            }
        )
        self.sent: list[Sent] = []
        self.refused: list[str] = []
        self._numbers = count()

    def send(self, inputs: Iterable[Input]) -> None:
        """Send everything; returns when Kafka has it."""
        for one in inputs:
            while True:
                try:
                    self._send(one)
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self._producer.poll(0)
        if left := self._producer.flush(_FLUSH_S):
            self.refused.append(f"{left} messages were not taken by Kafka in time")

    def release(self, devices: Sequence[str], partitions: int) -> None:
        """Release devices that random commands may have put on hold: jobs wait for them."""
        for device in devices:
            body = {"command_id": f"fuzz-{next(self._numbers)}", "command": "RELEASE"}
            key = device.encode()
            self._producer.produce(
                self._prefix + wire.SCAN_COMMANDS,
                json.dumps(body | {"device_id": device}).encode(),
                key,
                partition=partition_of(key, partitions),
            )
        self._producer.flush(_FLUSH_S)

    def _send(self, one: Input) -> None:
        def delivered(error: Any, message: Any) -> None:
            if error is not None:
                self.refused.append(f"Kafka refused {one.mark}: {error.name()}")
                return
            self.sent.append(Sent(what=one, offset=message.offset(), ms=message.timestamp()[1]))

        self._producer.produce(
            self._prefix + one.topic,
            one.value,
            one.key,
            partition=one.partition,
            headers=list(one.headers),
            on_delivery=delivered,
        )
