"""Which topics the broker has: a producer that is told to send to none waits for many minutes."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from aiokafka.errors import KafkaError

from models.errors import TransientError
from streams.provision import Provisioner
from streams.topics import TopicSpec

FRESH_S: Final = 5.0
"""So long an answer counts."""
LIMIT_S: Final = 4.0
"""How long the broker may take: a handler waits for it."""


class BrokerTopics:
    """Looks for topics by name; makes none. Asked once however many want it at a time."""

    def __init__(self, bootstrap: str, monotonic: Callable[[], float]) -> None:
        self._bootstrap = bootstrap
        self._monotonic = monotonic
        self._there: dict[str, float] = {}
        self._turn = asyncio.Lock()

    async def missing(self, names: Collection[str]) -> set[str]:
        """Give those of some names that no topic has; only what is there is remembered.

        Raises TransientError if the broker does not tell.
        """
        async with self._turn:
            unsure = [name for name in names if not self._fresh(name)]
            if not unsure:
                return set()
            specs = [TopicSpec(name=name, partitions=1) for name in unsure]
            try:
                async with asyncio.timeout(LIMIT_S), Provisioner(self._bootstrap) as provisioner:
                    found = await provisioner.look(specs, make=False)
            except (OSError, TimeoutError, KafkaError):
                raise TransientError("the broker did not tell which topics it has") from None
            now = self._monotonic()
            self._there |= {one.topic: now for one in found if not one.missing}
            return {one.topic for one in found if one.missing}

    def _fresh(self, name: str) -> bool:
        at = self._there.get(name)
        return at is not None and self._monotonic() - at < FRESH_S
