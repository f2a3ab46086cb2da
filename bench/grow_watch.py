"""Watches a processor whose gateway is off: a job's way ends with its device task."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from bench.load import Load
from bench.timeline import Timeline
from models import wire


class TaskWatch(Timeline):
    """Sees what comes from now on; can look away while a rate is measured."""

    def __init__(self, bootstrap: str, stub: str, load: Load, check: Callable[[], None]) -> None:
        super().__init__(bootstrap, stub, load, check)
        self._ids: defaultdict[str, set[bytes]] = defaultdict(set)

    async def _assign(self) -> None:
        await super()._assign()
        await self._consumer.seek_to_end()

    def _note(self, topic: str, message: Any, now: float) -> None:
        super()._note(topic, message, now)
        if topic == wire.DEVICE_TASKS:
            header = dict(message.headers)
            name = header.get(wire.REQUEST_ID, b"").decode()
            self._ids[name].add(header.get(wire.MESSAGE_ID, b""))

    def look_away(self) -> None:
        """Fetch nothing: reading 21 kB a job takes processor time from what is measured."""
        self._consumer.pause(*self._consumer.assignment())

    def look_again(self) -> None:
        """Go on where it looked away; the times of what came meanwhile are late."""
        self._consumer.resume(*self._consumer.assignment())

    @property
    def twice(self) -> int:
        """How many jobs got two different device tasks.

        The same one again, by its message id, is what a crash may leave; readers drop it.
        """
        return sum(len(ids) > 1 for ids in self._ids.values())

    def _ended(self) -> set[str]:
        return super()._ended() | self.tasks.keys()

    @property
    def tasks_of_partitions(self) -> dict[int, list[float]]:
        """When each partition's device tasks came, in order."""
        return dict(self._tasks_of)
