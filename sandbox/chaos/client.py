"""The client: sends what the traffic says, and keeps its own record of what Kafka acknowledged."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from confluent_kafka import Producer

from models import wire
from sandbox.chaos.diary import Diary
from sandbox.chaos.traffic import MARK, Order, Post, Sender

_PATIENCE_S: Final = 120
_POLL_S: Final = 0.02


class Client:
    """Three senders in one: murmur2 (aiokafka), CRC32 (librdkafka), and one that gives no key."""

    def __init__(self, bootstrap: str, prefix: str, diary: Diary) -> None:
        self._prefix = prefix
        self._diary = diary
        self._murmur2 = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True
        )
        self._crc32 = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "message.timeout.ms": _PATIENCE_S * 1000,
                "linger.ms": 5,
                "logger": None,
                "log_level": 0,
            }
        )
        self._sending: set[asyncio.Task[bool]] = set()
        self._poller: asyncio.Task[None] | None = None
        self.acknowledged = 0

    async def __aenter__(self) -> Self:
        await self._murmur2.start()
        self._poller = asyncio.create_task(self._poll())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._poller is not None:
            self._poller.cancel()
            with suppress(asyncio.CancelledError):
                await self._poller
        for task in self._sending:
            task.cancel()
        await self._murmur2.stop()

    async def run(self, orders: Iterable[Order]) -> None:
        """Send everything at its time."""
        began = time.monotonic()
        for order in orders:
            await asyncio.sleep(max(0.0, began + order.t - time.monotonic()))
            self.send(order.post)

    def send(self, post: Post) -> "asyncio.Task[bool]":
        """Send one message, in the background; what one sender sends to one key stays in order.

        The task tells whether Kafka acknowledged it.
        """
        task = asyncio.create_task(self._send(post))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    async def settle(self) -> int:
        """Wait until everything sent is acknowledged or given up; gives how many are neither."""
        if self._sending:
            await asyncio.wait(list(self._sending), timeout=_PATIENCE_S)
        return len(self._sending)

    async def _send(self, post: Post) -> bool:
        headers = [(MARK, post.mark.encode())]
        if post.request_id is not None:
            headers.append((wire.REQUEST_ID, post.request_id.encode()))
        told = {
            "mark": post.mark,
            "topic": post.topic,
            "device": post.device,
            "request_id": post.request_id,
            "sender": post.sender,
        }
        self._diary.note("sent", **told)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                partition, offset = await self._deliver(post, headers)
        except (KafkaError, TimeoutError, RuntimeError) as error:
            # Nobody promised anything for it; whether it is in the topic is seen there.
            self._diary.note("not-acknowledged", error=type(error).__name__, **told)
            return False
        self.acknowledged += 1
        self._diary.note("acknowledged", partition=partition, offset=offset, **told)
        return True

    async def _deliver(self, post: Post, headers: list[tuple[str, bytes]]) -> tuple[int, int]:
        topic, value = self._prefix + post.topic, post.value
        if post.sender is Sender.CRC32:
            return await self._by_librdkafka(topic, post.key.encode(), value, headers)
        key = None if post.sender is Sender.NO_KEY else post.key.encode()
        placed = await self._murmur2.send_and_wait(topic, value, key=key, headers=headers)
        return int(placed.partition), int(placed.offset)

    async def _by_librdkafka(
        self, topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> tuple[int, int]:
        done: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()

        def delivered(error: Any, message: Any) -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(RuntimeError(error.name()))
            else:
                done.set_result((message.partition(), message.offset()))

        given: list[tuple[str, str | bytes | None]] = [*headers]
        self._crc32.produce(topic, value, key, headers=given, on_delivery=delivered)
        return await done

    async def _poll(self) -> None:
        """Let librdkafka call back, in this thread."""
        while True:
            self._crc32.poll(0)
            await asyncio.sleep(_POLL_S)
