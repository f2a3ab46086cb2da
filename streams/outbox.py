"""What goes out: every message passes here, by its topic's logical name."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol

from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from faust.exceptions import ProducerSendError

from models import wire
from models.errors import FatalError, PermanentError
from streams.clock import Clock
from streams.topics import Topics, partition_of

SEND_LIMIT_S: Final = 30.0
"""How long the broker may take to acknowledge. Beyond it nobody knows whether the message is there:
the worker stops, and what it had not acknowledged comes again."""

METADATA_S: Final = 5.0
"""How long to wait for the partitions of a topic that is not ours: the producer waits for minutes."""

Headers = Iterable[tuple[str, bytes | None]]


class ProducerLike(Protocol):
    """Faust's producer (streams/engine.py puts the guard into its send path)."""

    async def send(  # noqa: PLR0917 - Faust's own order
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
    ) -> Awaitable[Any]:
        """Put the message into a batch; the awaitable gives the broker's acknowledgement."""
        ...


class Outbox:
    """Sends messages, and waits for the broker: what must exist is there before its input is settled."""

    def __init__(
        self,
        producer: Callable[[], ProducerLike],
        topics: Topics,
        clock: Clock,
    ) -> None:
        self._producer = producer
        self._topics = topics
        self._clock = clock

    async def put(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> Awaitable[Any]:
        """Put a message into a batch; give what `confirm` waits for."""
        return await self.raw(self._topics[topic], key, value, headers)

    async def deliver(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        *,
        partition: int | None = None,
    ) -> Any:
        """Send and wait for the broker's acknowledgement; gives its RecordMetadata.

        Raises PermanentError if the message is too large for the topic.
        """
        return await self.confirm(
            await self.raw(self._topics[topic], key, value, headers, partition=partition)
        )

    async def deliver_elsewhere(
        self, real_topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> None:
        """Send to a topic that is not ours, by its real name; the broker has it on return.

        Raises PermanentError where there is no such topic, it takes nothing from us, or the message
        is too large: nothing was sent then.
        """
        try:
            async with asyncio.timeout(METADATA_S):
                sending = await self.raw(real_topic, key, value, headers)
        except (TimeoutError, ProducerSendError):
            raise PermanentError(f"topic {real_topic} can't be sent to") from None

        async def sent() -> Any:
            try:
                return await sending
            except (TopicAuthorizationFailedError, UnknownTopicOrPartitionError):
                raise PermanentError(f"topic {real_topic} can't be sent to") from None

        await self.confirm(sent())

    async def deliver_step(self, topic: str, owner: str, value: bytes) -> None:
        """Tell an aggregate something, on its own topic and its key's partition."""
        key = owner.encode()
        await self.deliver(topic, key, value, partition=partition_of(key, self._topics.partitions))

    async def raw(
        self,
        real_topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        *,
        partition: int | None = None,
    ) -> Awaitable[Any]:
        """Put a message for a topic's real name into a batch.

        Raises PermanentError if it is larger than any topic takes.
        """
        try:
            return await self._producer().send(
                real_topic, key, value, partition, None, list(headers)
            )
        except ProducerSendError as error:
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                raise PermanentError("the message is too large to be sent") from None
            raise

    async def confirm(self, sending: Awaitable[Any]) -> Any:
        """Wait for an acknowledgement; teaches the clock the broker's time where there is one."""
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                metadata = await sending
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            raise PermanentError("the broker refused the message for its size") from None
        except TimeoutError:
            raise FatalError("the broker did not acknowledge a message in time") from None
        except (KafkaError, ProducerSendError) as error:
            raise FatalError(f"the broker refused a message: {type(error).__name__}") from None
        if metadata.timestamp_type == 1:  # LogAppendTime
            self._clock.observe_broker(metadata.timestamp)
        return metadata


def standard_headers(
    request_id: str, message_id: str, trace: Headers = ()
) -> list[tuple[str, bytes | None]]:
    """Give the headers that every message of ours carries."""
    return [
        (wire.REQUEST_ID, request_id.encode()),
        (wire.MESSAGE_ID, message_id.encode()),
        *trace,
    ]
