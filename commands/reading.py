"""Reads a topic as it is now: all of it, or single messages by their place."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from commands.base import CommandError, Exit
from commands.kafka import FAULTS, Kafka, no_broker
from streams.inbound import Inbound

LOOK_MS: Final = 500
"""How long one look for messages may take; then it is asked again whether the end is reached."""


async def read(kafka: Kafka, topic: str) -> AsyncIterator[Inbound]:
    """Give what a topic holds, from its beginning to its end as it is now, in each partition's order.

    Raises CommandError (TIMEOUT) if that takes longer than the connection's limit.
    """
    consumer, until = kafka.consumer, time.monotonic() + kafka.limit_s
    places = await kafka.places(topic)
    try:
        async with asyncio.timeout(kafka.limit_s):
            begins = await consumer.beginning_offsets(places)
            ends = await consumer.end_offsets(places)
            left = [place for place in places if begins[place] < ends[place]]
            consumer.assign(left)
            for place in left:
                consumer.seek(place, begins[place])
    except FAULTS as error:
        raise no_broker(kafka.bootstrap, error) from None
    while left:
        if time.monotonic() >= until:
            raise CommandError(
                f"{topic} was not read to its end within {kafka.limit_s:g} s (--timeout)",
                Exit.TIMEOUT,
            )
        batches = await consumer.getmany(*left, timeout_ms=LOOK_MS, max_records=500)
        for place, records in batches.items():
            for record in records:
                if record.offset < ends[place]:
                    yield _inbound(record, topic)
        left = [place for place in left if await consumer.position(place) < ends[place]]
    consumer.assign([])  # else each later question waits behind a fetch that waits for messages


class Picker:
    """Gives single messages of a topic; those that follow each other without asking again."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic

    async def at(self, partition: int, offset: int) -> Inbound | None:
        """Give the message at a place; None if there is none, or none any longer."""
        kafka, consumer = self._kafka, self._kafka.consumer
        if partition >= await kafka.partitions(self._topic):
            return None
        [place] = await kafka.places(self._topic, partition)
        try:
            async with asyncio.timeout(kafka.limit_s):
                begin = (await consumer.beginning_offsets([place]))[place]
                end = (await consumer.end_offsets([place]))[place]
                if not begin <= offset < end:
                    return None
                if consumer.assignment() != {place}:
                    consumer.assign([place])
                    consumer.seek(place, offset)
                elif await consumer.position(place) != offset:
                    consumer.seek(place, offset)  # what was fetched is thrown away
                record = await consumer.getone(place)
        except FAULTS as error:
            raise no_broker(kafka.bootstrap, error) from None
        return _inbound(record, self._topic) if record.offset == offset else None


def _inbound(record: Any, topic: str) -> Inbound:
    return Inbound(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        timestamp_ms=record.timestamp,
        headers=tuple(record.headers or ()),
    )
