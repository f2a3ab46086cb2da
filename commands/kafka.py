"""The broker, as commands use it: no consumer group, positions taken before anything is sent.

Each wait has a limit, and a missing topic is never made by the broker behind our back.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from commands.base import CommandError, Exit
from models import wire
from streams.inbound import Headers
from streams.topics import Topics, partition_of

CONNECT_S: Final = 10.0
"""How long a broker may take to answer at all."""
CLOSE_S: Final = 5.0
FETCH_BYTES: Final = 8 * 1024 * 1024
"""Of one partition at once: sixteen chunks of a file."""

FAULTS: Final = (OSError, TimeoutError, KafkaError)
"""What a broker that is away makes of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that was read; `topic` is its logical name, headers without a value are left out."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str]


class TooLargeError(CommandError):
    """A topic does not take a message for its size."""


class Kafka:
    """A connection to the broker, made by `connect`."""

    def __init__(self, bootstrap: str, topics: Topics, limit_s: float) -> None:
        servers = [part.strip() for part in bootstrap.split(",") if part.strip()]
        common: dict[str, Any] = {"bootstrap_servers": servers, "request_timeout_ms": 10_000}
        self.bootstrap = bootstrap
        self._topics = topics
        self.limit_s = limit_s
        self._also: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self.consumer = AIOKafkaConsumer(
            **common,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # a position that retention overtook
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=100,  # questions to a broker wait behind a fetch that waits
        )
        self._producer = AIOKafkaProducer(
            **common, acks="all", enable_idempotence=True, max_request_size=FETCH_BYTES
        )

    async def _open(self, stack: AsyncExitStack) -> Self:
        for client in (self.consumer, self._producer):
            # Also for one that did not get as far as its start: it holds sockets.
            stack.push_async_callback(_close, client)
            try:
                async with asyncio.timeout(min(CONNECT_S, self.limit_s)):
                    await client.start()
            except FAULTS as error:
                raise no_broker(self.bootstrap, error) from None
        return self

    def also(self, topic: str, real: str) -> None:
        """Know one more topic by a name of its own: a table's changelog."""
        self._also[topic] = real

    def _real(self, topic: str) -> str:
        return self._also.get(topic) or self._topics[topic]

    async def partitions(self, topic: str) -> int:
        """Give how many partitions a topic has. Raises CommandError if there is no such topic."""
        real = self._real(topic)
        if real in self._counts:
            return self._counts[real]
        try:
            async with asyncio.timeout(self.limit_s):
                # All names are asked for: a question for one may make it (auto.create.topics.enable).
                if real not in await self.consumer.topics():
                    raise CommandError(
                        f"topic {real} is missing: `faust -A faust_app topics` makes it"
                    )
                self._counts[real] = len(await self._producer.partitions_for(real))
        except FAULTS as error:
            raise no_broker(self.bootstrap, error) from None
        return self._counts[real]

    async def follow(self, topics: Mapping[str, int | None]) -> None:
        """Take the positions from which `take` reads: the ends as they are now.

        For each topic one partition, or all (None). On return nothing that is sent later is missed.
        """
        wanted = []
        for topic, one in topics.items():
            wanted += await self.places(topic, one)
        try:
            async with asyncio.timeout(self.limit_s):
                self.consumer.assign(wanted)
                for place, end in (await self.consumer.end_offsets(wanted)).items():
                    self.consumer.seek(place, end)
        except FAULTS as error:
            raise no_broker(self.bootstrap, error) from None

    async def places(self, topic: str, one: int | None = None) -> list[TopicPartition]:
        """Give a topic's partitions, or one of them, as the consumer calls them."""
        count, real = await self.partitions(topic), self._real(topic)
        self._names[real] = topic
        return [
            TopicPartition(real, number) for number in (range(count) if one is None else (one,))
        ]

    async def take(self, wait_s: float) -> list[Message]:
        """Give what came, in each partition's order; [] if nothing came in time."""
        wait_ms = max(1, int(wait_s * 1000))
        batches = await self.consumer.getmany(timeout_ms=wait_ms, max_records=500)
        return [self._message(record) for records in batches.values() for record in records]

    def _message(self, record: Any) -> Message:
        headers = {name: value for name, value in record.headers or () if value is not None}
        return Message(
            topic=self._names[record.topic],
            key=(record.key or b"").decode("utf-8", "replace"),
            value=record.value or b"",
            headers={name: value.decode("utf-8", "replace") for name, value in headers.items()},
        )

    async def send(self, topic: str, key: str, value: bytes, request_id: str) -> None:
        """Send a message to its key's partition and wait for the broker's acknowledgement.

        Raises CommandError; where it can't be known whether the broker has it, with TIMEOUT.
        """
        await self.post(
            topic,
            key.encode(),
            value,
            ((wire.REQUEST_ID, request_id.encode()),),
            unsure=f"request {request_id} may have been taken."
            " Sent again with the same request id it is not done twice",
        )

    async def post(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, *, unsure: str
    ) -> None:
        """Send any message to its key's partition (without a key: to any), and wait for the broker.

        Raises CommandError; where it can't be known whether the broker has it, with TIMEOUT and
        `unsure` as its sentence.
        """
        count, real = await self.partitions(topic), self._real(topic)
        place = None if key is None else partition_of(key, count)
        try:
            async with asyncio.timeout(self.limit_s):
                if key is None and value is None:
                    await self._post_nothing(real, headers)
                else:
                    await self._producer.send_and_wait(
                        real, value, key=key, partition=place, headers=list(headers)
                    )
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            raise TooLargeError(
                f"the message has {len(value or b'')} bytes, more than topic {real} takes"
            ) from None
        except TimeoutError:
            raise CommandError(
                f"the broker did not acknowledge in time: {unsure}", Exit.TIMEOUT
            ) from None
        except (OSError, KafkaError) as error:
            raise CommandError(f"the broker took no message: {type(error).__name__}") from None

    async def _post_nothing(self, real: str, headers: Headers) -> None:
        """Send a message that has neither key nor value: aiokafka does so in a batch only."""
        batch = self._producer.create_batch()
        batch.append(timestamp=None, key=None, value=None, headers=list(headers))
        batch.close()
        await (await self._producer.send_batch(batch, real, partition=0))


@asynccontextmanager
async def connect(bootstrap: str, topics: Topics, limit_s: float) -> AsyncIterator[Kafka]:
    """Connect to the broker; `limit_s` bounds each call. Raises CommandError if none answers."""
    kafka = Kafka(bootstrap, topics, limit_s)
    async with AsyncExitStack() as stack:
        yield await kafka._open(stack)  # noqa: SLF001 - two halves of one thing


def no_broker(bootstrap: str, error: BaseException) -> CommandError:
    """Make the one sentence for a broker that does not answer, or refuses what it is asked."""
    if isinstance(error, KafkaError) and not error.retriable:
        return CommandError(f"the broker at {bootstrap} refuses: {type(error).__name__}")
    return CommandError(f"no broker answers at {bootstrap} (SCANHUB_KAFKA)")


async def _close(client: Any) -> None:
    """Let go of the broker, in bounded time, also where it hangs or never answered."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await client.stop()
    except FAULTS:
        return
