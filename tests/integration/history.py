"""What a test sees of a run: every message on every topic, as an outsider reads them."""

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from models import wire


@dataclass(frozen=True, slots=True)
class Seen:
    """A message that was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def header(self) -> dict[str, str]:
        return {name: (value or b"").decode(errors="replace") for name, value in self.headers}

    @property
    def json(self) -> Any:
        return json.loads(self.value or b"null")


class History:
    """Reads all topics from their beginning, and waits for what should come."""

    def __init__(self, bootstrap: str, prefix: str, topics: Iterable[str]) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._topics = list(topics)
        self.messages: dict[str, list[Seen]] = {topic: [] for topic in self._topics}
        self._changed = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=40 * 1024 * 1024,
        )
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, max_request_size=40 * 1024 * 1024
        )
        await self._consumer.start()
        await self._producer.start()
        places = []
        for topic in self._topics:
            real = self._prefix + topic
            partitions = await self._producer.partitions_for(real)
            places += [TopicPartition(real, partition) for partition in partitions]
        self._consumer.assign(places)
        await self._consumer.seek_to_beginning(*places)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reader is None:
            return
        self._reader.cancel()
        with suppress(asyncio.CancelledError, KafkaError):
            await self._reader
        # A shared house may stand idle while other tests hold the loop: a fetch of aiokafka that timed
        # out meanwhile ends its stop() with the fetch's own CancelledError.
        for client in (self._consumer, self._producer):
            with suppress(asyncio.CancelledError, KafkaError):
                await client.stop()

    async def _read(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=200)
            if not batches:
                continue
            async with self._changed:
                for place, records in batches.items():
                    topic = place.topic.removeprefix(self._prefix)
                    self.messages[topic] += [
                        Seen(topic, r.partition, r.offset, r.key, r.value, tuple(r.headers))
                        for r in records
                    ]
                self._changed.notify_all()

    async def until(self, predicate: Callable[[], Any], *, what: str, timeout_s: float = 30) -> Any:
        """Wait until something is true of what was read; gives it."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                while not (found := predicate()):
                    await self._changed.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"{what}: not within {timeout_s} s\n{self.summary()}") from None

    def summary(self) -> str:
        lines = []
        for topic, messages in self.messages.items():
            lines.append(f"{topic}: {len(messages)}")
            if topic in (wire.SCAN_EVENTS, wire.DEAD_LETTERS):
                lines += [f"    {(m.value or b'')[:300]!r} {m.header.get('scanhub.cause', '')}"
                          for m in messages[-12:]]  # fmt: skip
        return "\n".join(lines)

    async def produce(
        self,
        topic: str,
        value: Any,
        *,
        key: str | None = None,
        partition: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Produce a message (objects as JSON, bytes as they are); gives the broker's answer."""
        raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
        return await self._producer.send_and_wait(
            self._prefix + topic,
            raw,
            key=None if key is None else key.encode(),
            partition=partition,
            headers=[(name, text.encode()) for name, text in (headers or {}).items()],
        )

    # What tests ask for most.

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events, repeats dropped by their id, as every consumer should."""
        unique: dict[str, dict[str, Any]] = {}
        for message in self.messages[wire.SCAN_EVENTS]:
            event = message.json
            unique.setdefault(event["event_id"], event)
        return list(unique.values())

    def states(self, request_id: str) -> list[str]:
        """The states that were announced of a request, in order."""
        return [
            event["state"]
            for event in self.events
            if event["event"] == "STATE_CHANGED" and event.get("request_id") == request_id
        ]

    async def reaches(self, request_id: str, *states: str, timeout_s: float = 30) -> list[str]:
        """Wait until a request has reached one of some states; gives all states announced."""
        await self.until(
            lambda: set(self.states(request_id)) & set(states),
            what=f"{request_id} reaches {' or '.join(states)}",
            timeout_s=timeout_s,
        )
        return self.states(request_id)

    async def dead_letter(
        self, predicate: Callable[[Seen], bool], *, what: str, timeout_s: float = 30
    ) -> Seen:
        """Wait for the dead letter that fits."""
        found: Seen = await self.until(
            lambda: next((m for m in self.messages[wire.DEAD_LETTERS] if predicate(m)), None),
            what=f"a dead letter: {what}",
            timeout_s=timeout_s,
        )
        return found

    async def marked(self, mark: str) -> Seen:
        """Wait for the dead letter of a message that was sent with a header `mark`."""
        return await self.dead_letter(lambda m: m.header.get("mark") == mark, what=mark)

    def event(self, request_id: str, state: str) -> dict[str, Any]:
        """The event that announced a state of a request."""
        return next(
            event
            for event in self.events
            if event.get("request_id") == request_id and event.get("state") == state
        )
