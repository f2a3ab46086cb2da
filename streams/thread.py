"""The consumer's own thread: what is asked of the broker, and what is fetched from it.

Private methods of faust-streaming 0.15.3 and aiokafka 0.14.0 are overridden; pyproject.toml pins both.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams import parser, reading
from streams.caughtup import End
from streams.guard import Guard

ENDS_S = 4.0
"""How long the broker may take to tell where topics end."""
FETCH_WAIT_MS = 250
"""How long the broker may hold a fetch while there is nothing new. What else is asked on that connection
(where topics end, at the end of each recovery) waits behind it: with Faust's 1,500 for most of that."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Tells the guard of each good heartbeat: aiokafka keeps that time in a local variable."""

    async def on_start(self) -> None:
        """Start the consumer, with a parser that reads any header, and listen to its heartbeats."""
        parser.install()
        reading.install()
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

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - Faust has no setting for it
        return consumer

    async def _fetch_records(self, consumer: Any, *args: Any, **kwargs: Any) -> Any:
        records: Any = await super()._fetch_records(consumer, *args, **kwargs)
        return reading.Read(records, consumer)

    async def begins(self, place: TP) -> int:
        """Ask the broker for the first offset that it still has of a place."""
        return cast("int", await self.call_thread(self._begins, place))

    async def _begins(self, place: TP) -> int:
        consumer = self._ensure_consumer()
        async with asyncio.timeout(ENDS_S):
            return int((await consumer.beginning_offsets([place]))[place])

    async def ends(self, places: list[TP]) -> dict[TP, End]:
        """Ask the broker for the ends of some places.

        Raises TimeoutError, and KafkaError for a place that is not ours.
        """
        return cast("dict[TP, End]", await self.call_thread(self._ends, places))

    async def _ends(self, places: list[TP]) -> dict[TP, End]:
        consumer = self._ensure_consumer()
        # Bounded in the thread itself: it has two hands, and one of them fetches.
        async with asyncio.timeout(ENDS_S):
            ends = await consumer.end_offsets(places)
            return {place: End(end, await consumer.position(place)) for place, end in ends.items()}

    async def rest(self, places: list[TP], generation: int) -> None:
        """Fetch nothing more of some places; each assignment begins anew, with all of them."""
        await self.call_thread(self._rest, places, generation)

    async def _rest(self, places: list[TP], generation: int) -> None:
        consumer = self._ensure_consumer()
        # The thread may have been busy through a whole rebalance: a changelog of the next assignment
        # that rests would never be recovered.
        if consumer._coordinator.generation != generation:  # noqa: SLF001 - no public way
            return
        ours = consumer.assignment()
        consumer.pause(*(TopicPartition(*place) for place in places if place in ours))
