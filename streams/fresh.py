"""Which messages nobody can have begun before: what was sent after their place became ours.

Whatever an earlier owner of a topic-partition had in its hands lay before the partition's end at that
moment (and a zombie sends nothing any more: streams/guard.py). So beyond it a job without a row was
never begun, and needs no row before its record is made; before it, one may have been.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable

from aiokafka.errors import KafkaError
from faust.types import TP

from models import wire
from streams.caughtup import Ends
from streams.inbound import Inbound

log = logging.getLogger(__name__)


class Fresh:
    """Knows where one topic's partitions ended when they became ours."""

    def __init__(
        self, places: Callable[[], Iterable[TP]], ask: Callable[[list[TP]], Awaitable[Ends]]
    ) -> None:
        self._places = places
        self._ask = ask
        self._ends: dict[int, int] = {}
        self._forgotten = 0

    def forget(self) -> None:
        """Forget all: the partitions go."""
        self._ends = {}
        self._forgotten += 1

    async def learn(self) -> None:
        """Ask the broker for the ends; where it does not answer, nothing is taken for fresh."""
        forgotten = self._forgotten
        try:
            ends = await self._ask(list(self._places()))
        except (KafkaError, TimeoutError) as error:
            log.warning("where the topics end is not known (%s)", type(error).__name__)
            return
        if forgotten == self._forgotten:  # else they went while it was asked
            self._ends = {place.partition: found.offset for place, found in ends.items()}

    def __call__(self, inbound: Inbound) -> bool:
        """Tell whether nobody can have begun a message before.

        One that was a dead letter may have been begun before it was buried.
        """
        if wire.DEAD_ATTEMPTS in inbound.header:
            return False
        end = self._ends.get(inbound.partition)
        return end is not None and inbound.offset >= end
