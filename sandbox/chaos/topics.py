"""Reading topics as an outsider does: to their present end, or as they grow."""

import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from models import wire
from models.base import is_integer_id
from sandbox.chaos.facts import DEVICE_WORK, Message

READ: Final = (
    wire.SCAN_JOBS, wire.SCAN_COMMANDS, wire.DEVICE_TASKS, wire.SCAN_STATUS, wire.RESULT_UPLOADS,
    wire.RECO_RESULTS, wire.DEVICE_STEPS, wire.RECORD_STEPS, wire.RECO_JOBS, wire.SCAN_EVENTS,
    wire.DEAD_LETTERS, wire.WORKFLOW_REQUESTS, wire.TASK_EVENTS, wire.TASK_COMPLETIONS,
    wire.WORKFLOW_RESPONSES, DEVICE_WORK,
)  # fmt: skip
"""All topics in which a scan or a workflow can leave a trace."""
_READ_S: Final = 120


@asynccontextmanager
async def reader(
    bootstrap: str, prefix: str, topics: Iterable[str], partitions: int, *, new_only: bool = False
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer of all partitions, at their start or, with `new_only`, at their end."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    await consumer.start()
    try:
        places = [TopicPartition(prefix + topic, n) for topic in topics for n in range(partitions)]
        consumer.assign(places)
        if new_only:
            await consumer.seek_to_end(*places)
            for place in places:
                await consumer.position(place)
        else:
            await consumer.seek_to_beginning(*places)
        yield consumer
    finally:
        await consumer.stop()


async def batch(consumer: AIOKafkaConsumer, prefix: str, wait_s: float = 0.2) -> list[Message]:
    """Give what came within a moment."""
    batches = await consumer.getmany(timeout_ms=int(wait_s * 1000))
    return [
        Message(
            topic=place.topic.removeprefix(prefix),
            partition=place.partition,
            offset=record.offset,
            ms=record.timestamp,
            key=record.key,
            value=record.value,
            headers={name: value or b"" for name, value in record.headers},
        )
        for place, records in batches.items()
        for record in records
    ]


async def read_all(bootstrap: str, prefix: str, partitions: int) -> list[Message]:
    """Read all topics from their start to the end that they have now."""
    async with reader(bootstrap, prefix, READ, partitions) as consumer:
        places = list(consumer.assignment())
        ends = await consumer.end_offsets(places)
        found: list[Message] = []
        deadline = time.monotonic() + _READ_S
        while True:
            missing = [p for p in places if await consumer.position(p) < ends[p]]
            if not missing:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(missing)} partitions could not be read to their ends")
            found += await batch(consumer, prefix)


async def ask_states(
    bootstrap: str, prefix: str, partitions: int, records: Iterable[str], wait_s: float = 45
) -> dict[str, bytes]:
    """Ask the workers for the state of records; gives the answers' metadata by record id.

    A request is acknowledged at once and served in the background, so one that gets no answer is
    asked again, as every requester should.
    """
    answers: dict[str, bytes] = {}
    wanted = set(records)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        topics = (wire.RESULT_CHUNKS,)
        async with reader(bootstrap, prefix, topics, partitions, new_only=True) as consumer:
            deadline, again = time.monotonic() + wait_s, 0.0
            while wanted - answers.keys() and time.monotonic() < deadline:
                if time.monotonic() >= again:
                    for record in sorted(wanted - answers.keys()):
                        number = int(record) if is_integer_id(record) else record
                        asked = {"request_id": f"state-{record}", "record_id": number}
                        value = json.dumps({**asked, "what": "state"}).encode()
                        await producer.send(
                            prefix + wire.RESULT_REQUESTS, value, key=record.encode()
                        )
                    again = time.monotonic() + wait_s / 3
                for message in await batch(consumer, prefix):
                    if message.headers.get(wire.PART) == b"metadata" and message.value:
                        record = (message.key or b"").decode().removeprefix("state-")
                        answers.setdefault(record, message.value)
    finally:
        await producer.stop()
    return answers
