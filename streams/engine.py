"""Faust, made to keep the promises: what is overridden, and which trap each override closes.

Private methods of faust-streaming 0.15.3 and aiokafka 0.14.0 are overridden here and nowhere else;
pyproject.toml pins both. The traps are told in docs/architecture.md.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import faust
from faust.app.base import BootStrategy as FaustBootStrategy
from faust.transport.drivers import aiokafka as driver
from yarl import URL

from streams.guard import Guard, stop_now
from streams.window import Window

DRAIN_S = 8.0
"""How long attempts in flight may take at a stop or a rebalance: one HTTP attempt and its writes."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Tells the guard of each good heartbeat: aiokafka keeps that time in a local variable."""

    async def on_start(self) -> None:
        """Start the consumer and listen to its heartbeats."""
        await super().on_start()
        guard: Guard = self.app.guard  # type: ignore[attr-defined]
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001 - no public way
        heartbeat: Callable[[], Awaitable[bool]] = coordinator._do_heartbeat  # noqa: SLF001

        async def listened() -> bool:
            good = await heartbeat()
            if good:
                guard.beat()
            return good

        coordinator._do_heartbeat = listened  # noqa: SLF001


class Consumer(driver.Consumer):
    """Bounded waiting at a stop; no topic is made behind our back."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Make nothing: streams/provision.py made every topic, with its settings."""

    def ack(self, message: Any) -> bool:
        """Acknowledge a message that a stream gave out.

        Faust also acknowledges what it drops at a rebalance (never tracked, delivered again): were
        that committed, a crash before the second delivery is done would lose it.
        """
        return bool(message.tracked and super().ack(message))

    async def wait_empty(self) -> None:
        """Let attempts in flight finish, then commit. Faust's own wait has no limit.

        Clearing what is un-acknowledged is safe, as the windows acknowledge contiguous prefixes
        only: nothing behind an open message was ever acknowledged.
        """
        app: App = self.app  # type: ignore[assignment]
        await app.drain()
        self._unacked_messages.clear()
        await self.commit_and_end_transactions()


class Producer(driver.Producer):
    """The guard stands in the send path: a worker that may have lost its partitions sends nothing."""

    async def send(self, *args: Any, **kwargs: Any) -> Any:
        """Send, unless this worker may be a zombie."""
        guard: Guard = self.app.guard  # type: ignore[attr-defined]
        guard.check()
        return await super().send(*args, **kwargs)


class Transport(driver.Transport):
    """Puts the classes above in place."""

    Consumer: ClassVar[Any] = Consumer
    Producer: ClassVar[Any] = Producer


class BootStrategy(FaustBootStrategy):
    """Starts what a worker needs; never Faust's own web server (streams/web.py)."""

    enable_web = False


class App(faust.App):
    """A Faust app with windows that drain, a guard, and a first act before it joins the group."""

    BootStrategy = BootStrategy

    guard: Guard
    windows: list[Window]
    before_start: Callable[[], Awaitable[None]] | None = None
    after_stop: Callable[[], Awaitable[None]] | None = None
    on_drained: Callable[[], None] | None = None

    def __init__(self, *args: Any, guard: Guard, **kwargs: Any) -> None:
        self.guard = guard
        self.windows = []
        super().__init__(*args, **kwargs)

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return Transport(self.conf.broker_producer, self)

    async def on_first_start(self) -> None:
        """Do what must be done before anything is consumed (topics, checks), then start."""
        if self.before_start is not None and not self.client_only:
            await self.before_start()
        await super().on_first_start()

    async def on_shutdown(self) -> None:
        """Close what the agents used, once they are gone."""
        await super().on_shutdown()
        if self.after_stop is not None:
            await self.after_stop()

    async def drain(self) -> None:
        """Let all windows finish what they began; ends the process if they can't.

        Called when partitions are about to go (rebalance) and when the worker stops.
        """
        done = await asyncio.gather(*(window.drain(DRAIN_S) for window in self.windows))
        if not all(done):
            stop_now("attempts in flight did not end in time: stopped, what was open comes again")
        # Nothing runs now and nothing is owned until the next assignment.
        self.guard.suspend()
        if self.on_drained is not None:
            self.on_drained()

    async def _on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        await super()._on_partitions_assigned(assigned, generation_id)
        self.guard.beat()


def broker_url(servers: str) -> list[URL]:
    """Give Faust's form of a list of bootstrap servers."""
    return [URL(f"kafka://{server.strip()}") for server in servers.split(",") if server.strip()]
