"""A backlog in one moment: messages in batches made before, and how far a topic has come."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from bench.load import device_names, make_job
from models import wire
from streams.topics import partition_of

_BATCH_BYTES: Final = 256 * 1024


class Sent(NamedTuple):
    """A message that is to be sent."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def jobs(first: int, number: int, devices: int) -> dict[str, Sent]:
    """Make jobs over some devices, in turn, by their names (request ids)."""
    names = device_names(devices)
    made = {}
    for n in range(first, first + number):
        name, job = f"burst-{n}", make_job(n, names[n % devices])
        header = (wire.REQUEST_ID, name.encode())
        made[name] = Sent(job.device_id.encode(), job.to_bytes(), (header,))
    return made


async def burst(bootstrap: str, topic: str, partitions: int, messages: Iterable[Sent]) -> float:
    """Send messages as fast as the broker takes them; gives the moment before the first.

    They are put into batches before that, so that their sender takes no processor time from what is
    measured. Raises KafkaError.
    """
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=_BATCH_BYTES)
    await producer.start()
    try:
        batches: defaultdict[int, list[Any]] = defaultdict(list)
        for sent in messages:
            made = batches[partition_of(sent.key, partitions)]
            pair = {"key": sent.key, "value": sent.value, "headers": list(sent.headers)}
            if not made or made[-1].append(timestamp=None, **pair) is None:  # it is full
                made.append(producer.create_batch())
                made[-1].append(timestamp=None, **pair)
        began = time.monotonic()
        await asyncio.gather(*(
            _send(producer, topic, partition, made) for partition, made in batches.items()
        ))  # fmt: skip
    finally:
        await producer.stop()
    return began


async def _send(producer: Any, topic: str, partition: int, batches: list[Any]) -> None:
    for batch in batches:
        acknowledged = await producer.send_batch(batch, topic, partition=partition)
        await acknowledged


class Ends:
    """Asks where topics end: costs next to nothing, whatever the size of their messages."""

    def __init__(self, bootstrap: str, topics: Iterable[str], partitions: int) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
        self._places = [TopicPartition(topic, n) for topic in topics for n in range(partitions)]

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(KafkaError, asyncio.CancelledError):  # as in sandbox/demo/bus.py
            await self._consumer.stop()

    async def totals(self) -> Counter[str]:
        """Give how many messages each topic ever got."""
        totals: Counter[str] = Counter()
        for place, end in (await self._consumer.end_offsets(self._places)).items():
            totals[place.topic] += end
        return totals
