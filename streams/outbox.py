"""What goes out: every message passes here, by its topic's logical name."""

import asyncio
from collections import deque
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
from models.errors import FatalError, PermanentError, ScanHubError
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
        self._open: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._watching = False

    async def put(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        *,
        partition: int | None = None,
    ) -> Awaitable[Any]:
        """Put a message into a batch; give what `confirm` waits for.

        On return it has its place in its partition's order, also where the batch was full. Raises
        PermanentError if the message is too large.
        """
        place = self._place(topic, key) if partition is None else partition
        return await self.raw(self._topics[topic], key, value, headers, partition=place)

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
        return await self.confirm(await self.put(topic, key, value, headers, partition=partition))

    def _place(self, topic: str, key: bytes | None) -> int | None:
        """Give the partition of a key: the producer would ask its notes of the cluster each time."""
        return None if key is None else partition_of(key, self._topics.count(topic))

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
        await self.deliver(topic, owner.encode(), value)

    async def raw(
        self,
        real_topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        *,
        partition: int | None = None,
    ) -> "asyncio.Future[Any]":
        """Put a message for a topic's real name into a batch.

        The future gets its acknowledgement, or TimeoutError after `SEND_LIMIT_S`. Raises
        PermanentError if it is larger than any topic takes.
        """
        try:
            sending = await self._producer().send(
                real_topic, key, value, partition, None, list(headers)
            )
        except ProducerSendError as error:
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                raise PermanentError("the message is too large to be sent") from None
            raise
        # A future already, but for tests' producers: asking asyncio costs three calls for each message.
        future = sending if isinstance(sending, asyncio.Future) else asyncio.ensure_future(sending)
        self._watch(future)
        return future

    def _watch(self, future: "asyncio.Future[Any]") -> None:
        """Limit how long an acknowledgement may take: one timer for all that are open."""
        while self._open and self._open[0][1].done():
            self._open.popleft()
        loop = future.get_loop()
        self._open.append((loop.time() + SEND_LIMIT_S, future))
        if not self._watching:
            self._watching = True
            loop.call_at(self._open[-1][0], self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._open:
            due, future = self._open[0]
            if future.done():
                self._open.popleft()
            elif due <= now:
                future.set_exception(TimeoutError())
            else:
                loop.call_at(due, self._look, loop)
                return
        self._watching = False

    async def confirm(self, sending: Awaitable[Any]) -> Any:
        """Wait for an acknowledgement; teaches the clock the broker's time where there is one.

        Raises PermanentError for a message that is too large; FatalError where it is not known
        whether the broker has it.
        """
        try:
            metadata = await sending
        except (KafkaError, ProducerSendError, TimeoutError) as error:
            raise refusal(error) from None
        self.observe(metadata)
        return metadata

    def observe(self, metadata: Any) -> None:
        """Take an acknowledgement's time, if it is the broker's own (LogAppendTime)."""
        if metadata.timestamp_type == 1:
            self._clock.observe_broker(metadata.timestamp)


def refusal(error: BaseException) -> ScanHubError:
    """Say what it means that a message was not acknowledged; the error's own text may hold input."""
    if isinstance(error, ScanHubError):
        return error
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return PermanentError("the broker refused the message for its size")
    if isinstance(error, TimeoutError):
        return FatalError("the broker did not acknowledge a message in time")
    return FatalError(f"the broker refused a message: {type(error).__name__}")


def standard_headers(
    request_id: str, message_id: str, trace: Headers = ()
) -> list[tuple[str, bytes | None]]:
    """Give the headers that every message of ours carries."""
    return [
        (wire.REQUEST_ID, request_id.encode()),
        (wire.MESSAGE_ID, message_id.encode()),
        *trace,
    ]
