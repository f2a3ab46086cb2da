"""Faust, made to keep the promises: what is overridden, and which trap each override closes.

Private methods of faust-streaming 0.15.3 and aiokafka 0.14.0 are overridden here, in consumer.py,
thread.py, parser.py and reading.py of this folder, and nowhere else; pyproject.toml pins both.
The traps are told in docs/architecture.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import cached_property
from time import monotonic
from typing import Any, ClassVar

import faust
from aiokafka.errors import KafkaError
from aiokafka.producer.sender import SendProduceReqHandler
from aiokafka.structs import TopicPartition
from faust.app.base import BootStrategy as FaustBootStrategy
from faust.exceptions import ProducerSendError
from faust.tables import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.utils.queues import FlowControlEvent
from yarl import URL

from streams.caughtup import Ends
from streams.consumer import Consumer
from streams.guard import Guard, stop_now
from streams.offsets import Offsets
from streams.tables import DurableTable
from streams.window import Window

BUSY = 16
"""So many messages are worked on at once when the producer sends fewer, larger requests."""
PACE_S = 0.008
"""How long it gathers then, after each answer of the broker: a request costs as much as twenty messages.
With little to do nothing is held back."""
DRAIN_S = 8.0
"""How long attempts in flight may take at a stop or a rebalance: one HTTP attempt and its writes."""


async def _at_once() -> None:
    """Wait for nothing."""


class Producer(driver.Producer):
    """The guard stands in the send path: a worker that may have lost its partitions sends nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._known: set[tuple[str, int]] = set()
        super().__init__(*args, **kwargs)
        # Asked for each message that comes in, three settings at a time; here nothing goes through it.
        self.buffer.wait_until_ebb = _at_once  # type: ignore[method-assign]

    async def on_start(self) -> None:
        """Start the producer, and have it send fewer, larger requests while there is much to do."""
        await super().on_start()
        sender = self._ensure_producer()._sender  # noqa: SLF001 - no public way

        async def send_paced(node: int, batches: Any) -> None:
            await SendProduceReqHandler(sender, batches).do(node)
            app: Any = self.app
            if app.busy:
                await asyncio.sleep(PACE_S)
            sender._in_flight.remove(node)  # noqa: SLF001 - as aiokafka's own does
            sender._muted_partitions.difference_update(batches)  # noqa: SLF001

        sender._send_produce_req = send_paced  # noqa: SLF001

    async def send(  # noqa: PLR0917 - Faust's own order
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> Any:
        """Send, unless this worker may be a zombie; straight to aiokafka, whose errors Faust wraps.

        Faust's own way tells sensors and signals of each message, which nobody here listens to.
        """
        del timestamp, transactional_id
        guard: Guard = self.app.guard  # type: ignore[attr-defined]
        guard.check()
        producer = self._ensure_producer()
        try:
            if partition is None or (topic, partition) not in self._known:
                sent = await producer.send(
                    topic, value, key=key, partition=partition, headers=headers
                )
                if partition is not None:
                    self._known.add((topic, partition))
                return sent
            # What is known need not be asked again, 5 times for each job: straight into the batch.
            producer._serialize(key, value, headers)  # noqa: SLF001 - refuses what is too large
            most_s = producer._request_timeout_ms / 1000  # noqa: SLF001 - as aiokafka's own `send`
            return await producer._message_accumulator.add_message(  # noqa: SLF001
                TopicPartition(topic, partition), key, value, most_s, headers=headers
            )
        except KafkaError as error:
            raise ProducerSendError(type(error).__name__) from error


class Transport(driver.Transport):
    """Puts the classes above in place."""

    Consumer: ClassVar[Any] = Consumer
    Producer: ClassVar[Any] = Producer


class BootStrategy(FaustBootStrategy):
    """Starts what a worker needs; never Faust's own web server (streams/web.py)."""

    enable_web = False


class FlowControl(FlowControlEvent):
    """Clears queues when partitions go, never when the flow resumes.

    Faust clears them at both, and at the end of a recovery messages are in them already: input that
    is lost, and changelog records that a local store then lacks for good.
    """

    def resume(self) -> None:
        """Let producers go on; what is in the queues stays."""
        self._suspend.clear()
        self._resume.set()


class Tables(TableManager):
    """Starts at once: all tables are declared before the app starts (agents/runtime.py).

    Faust waits a second for agents that declare some while they start: a third of a restart.
    """

    async def on_start(self) -> None:
        """Take up the tables, and recover them."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


class App(faust.App):
    """A Faust app with windows that drain, a guard, and a first act before it joins the group."""

    BootStrategy = BootStrategy

    guard: Guard
    windows: list[Window]
    durables: list[DurableTable[Any]]
    before_start: Callable[[], Awaitable[None]] | None = None
    after_stop: Callable[[], Awaitable[None]] | None = None
    on_drained: Callable[[], None] | None = None
    on_half: Callable[[], None] | None = None
    owned: bool

    def __init__(self, *args: Any, guard: Guard, **kwargs: Any) -> None:
        self.guard = guard
        self.windows = []
        self.durables = []
        self.owned = False
        super().__init__(*args, **kwargs)

    @cached_property
    def flow_control(self) -> FlowControlEvent:
        """Give the event that lets messages flow into queues."""
        return FlowControl(loop=self.loop)

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return Transport(self.conf.broker_producer, self)

    def queued(self, topic: str) -> int:
        """Count the messages that were given to the stream of a topic and not taken from it yet."""
        return sum(window.queued() for window in self.windows if topic in window.topics)

    @property
    def busy(self) -> bool:
        """Whether so much is under way that a few ms for each hop are nothing."""
        return any(window.working + window.sending >= BUSY for window in self.windows)

    @property
    def offsets(self) -> Offsets:
        """What the consumer fetched."""
        consumer: Any = self.consumer
        offsets: Offsets = consumer.offsets
        return offsets

    async def ends(self, places: list[TP]) -> Ends:
        """Ask the broker where some of our topic-partitions end."""
        consumer: Any = self.consumer
        ends: Ends = await consumer.ends(places)
        return ends

    async def rest_changelogs(self) -> None:
        """Fetch no changelogs of ours once they are recovered; those of standbys go on.

        Else those that are idle are asked for in each fetch, and what is fetched of the others (our own
        writes) lies in memory unread, and holds up all fetches for a moment when it comes.
        """
        generation = self.consumer_generation_id
        topics = set(self.tables.changelog_topics)
        consumer: Any = self.consumer
        active = self.assignor.assigned_actives()
        await consumer.rest([place for place in active if place.topic in topics], generation)

    def places(self, topic: str) -> list[TP]:
        """Give the partitions of a topic that are assigned to us."""
        return [place for place in self.consumer.assignment() if place.topic == topic]

    def on_init_dependencies(self) -> Iterable[Any]:
        """Leave Faust's statistics out, which nobody reads: ours are in streams/metrics.py.

        A sensor that notes nothing stands in their place: without any, Faust warns at each rebalance.
        """
        services = super().on_init_dependencies()
        self.sensors.remove(self.monitor)
        self.sensors.add(faust.Sensor())
        return services

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

    def forget_kept(self) -> None:
        """Have all tables read their rows anew."""
        for table in self.durables:
            table.forget_kept()

    async def note_persisted(self) -> None:
        """Note how far the local stores are."""
        if self.owned:
            for table in self.durables:
                table.note_persisted()

    async def drain(self) -> None:
        """Let all windows finish what they began, and tables what they write; else the process ends.

        Called when partitions are about to go (rebalance) and when the worker stops.
        """
        until = monotonic() + DRAIN_S
        done = await asyncio.gather(*(window.drain(DRAIN_S) for window in self.windows))
        left_s = until - monotonic()
        written = await asyncio.gather(*(table.drain(left_s) for table in self.durables))
        if not all((*done, *written)):
            stop_now("attempts in flight did not end in time: stopped, what was open comes again")
        self.forget_kept()
        # Nothing runs now and nothing is owned until the next assignment.
        self.guard.suspend()
        self.owned = False
        if self.on_drained is not None:
            self.on_drained()

    async def _on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        if not self.should_stop:
            self._refuse_half(assigned)
        await super()._on_partitions_assigned(assigned, generation_id)
        self.guard.beat()

    def _refuse_half(self, assigned: set[TP]) -> None:
        """Take no input without the changelogs of its tables.

        A worker that is stopped while it starts may join before its tables are in its subscription;
        the next process of that static member gets the half assignment back without a rebalance. It
        would work on a stale local store: two records, two STARTs (found by the chaos run).
        """
        changelogs = set(self.tables.changelog_topics)
        inputs = {place.partition for place in assigned if place.topic not in changelogs}
        lacking = [
            f"{topic}-{partition}"
            for topic in sorted(changelogs)
            for partition in sorted(inputs)
            if TP(topic, partition) not in assigned
        ]
        if inputs and lacking:
            if self.on_half is not None:
                self.on_half()
            stop_now(f"input was assigned without its changelogs ({lacking[0]}, …): joining anew")


def broker_url(servers: str) -> list[URL]:
    """Give Faust's form of a list of bootstrap servers."""
    return [URL(f"kafka://{server.strip()}") for server in servers.split(",") if server.strip()]
