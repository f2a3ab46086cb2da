"""The rate of a backlog with one, two and four workers."""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from bench.grow_backlog import backlog
from bench.grow_burst import jobs
from bench.grow_size import Space
from bench.grow_watch import TaskWatch
from bench.load import Load
from bench.scale_changes import DEVICES
from bench.scale_group import Group
from bench.stand import Stand

_SHARED_S: Final = 90.0
_END_S: Final = 60.0
_BLOCK: Final = 200_000


class Rates:
    """Measures backlogs; each with its own number of workers and its own bound of jobs in flight."""

    def __init__(self, stand: Stand, space: Space) -> None:
        self._stand = stand
        self._space = space
        self._firsts = count(1, _BLOCK)
        self.jobs = 0
        self.lost = 0
        self.missing: list[str] = []
        self.twice = 0

    @property
    def first(self) -> int:
        """Give the number of a first job that nobody else has."""
        return next(self._firsts)

    async def measure(self, workers: int, in_flight: int, number: int) -> dict[str, Any]:
        """Start so many workers, give them a backlog, end them. Raises TimeoutError."""
        stand, space, bootstrap = self._stand, self._space, self._stand.kafka.bootstrap
        names = [f"w{n}" for n in range(1, workers + 1)]
        settings = {**space.settings, "SCANHUB_IN_FLIGHT": str(in_flight)}
        for name in names:
            stand.start(name, settings)
        await asyncio.gather(*(stand.ready(name) for name in names))
        async with (
            Load(bootstrap, DEVICES, first=self.first, prefix=space.prefix) as load,
            TaskWatch(bootstrap, stand.address, load, stand.check) as watch,
            Group(bootstrap, space) as group,
        ):
            await group.shared_by(set(names), _SHARED_S)
            known, _ = await load.at_once(DEVICES)  # connections, imports, caches
            await watch.until(lambda: known <= watch.tasks.keys(), _END_S)
            watch.look_away()
            made = jobs(self.first, number, DEVICES)
            found = await backlog(stand, space, names, made)
            watch.look_again()
            known |= set(made)
            lost = await watch.until_ended(known, _END_S)
            self.missing += sorted(lost)
            self.jobs += len(known)
            self.lost += max(len(lost), number - found["settled"])
            self.twice += watch.twice
        await self._end(names)
        del found["broker_bytes_per_job"]
        return {"workers": workers, "in_flight": in_flight, **found}

    async def _end(self, names: Sequence[str]) -> None:
        await asyncio.gather(*(self._stand.terminate(name) for name in names))
