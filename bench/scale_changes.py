"""What is felt when a worker joins, leaves, or is killed and comes back, under a steady load."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from bench.deaths import calm, sending
from bench.grow_size import Space
from bench.grow_watch import TaskWatch
from bench.load import Load
from bench.scale_group import Group, Joins
from bench.scale_pauses import pauses
from bench.stand import Stand

DEVICES: Final = 200
RATE: Final = 100.0
"""Each of eight partitions has a job every 80 ms, so that a longer silence is the workers'."""
_SHARED_S: Final = 90.0
_END_S: Final = 90.0
_BEFORE_S: Final = 2.0


class Changes:
    """Two workers that stay, a third that comes and goes."""

    def __init__(self, stand: Stand, space: Space, logs: Path) -> None:
        self._stand = stand
        self._space = space
        self._logs = logs
        self.jobs = 0
        self.lost = 0
        self.missing: list[str] = []
        self.twice = 0

    async def run(self, times: int, first: int) -> dict[str, list[dict[str, Any]]]:
        """Measure each change so often. Raises TimeoutError, ProcessFailedError."""
        stand, bootstrap = self._stand, self._stand.kafka.bootstrap
        found: dict[str, list[dict[str, Any]]] = {"join": [], "sigterm": [], "sigkill_restart": []}
        for name in ("w1", "w2"):
            await self._start(name)
        async with (
            Load(bootstrap, DEVICES, first=first, prefix=self._space.prefix) as load,
            TaskWatch(bootstrap, stand.address, load, stand.check) as watch,
            Group(bootstrap, self._space) as group,
        ):
            async with sending(load, RATE) as sent:
                for _ in range(times):
                    for kind, before, after, act in (
                        ("join", {"w1", "w2"}, {"w1", "w2", "w3"}, self._join),
                        ("sigkill_restart", {"w1", "w2", "w3"}, {"w1", "w2", "w3"}, self._kill),
                        ("sigterm", {"w1", "w2", "w3"}, {"w1", "w2"}, self._leave),
                    ):
                        await group.shared_by(before, _SHARED_S)
                        await calm(watch, sent)
                        one = await self._change(watch, group, act, after, sent)
                        found[kind].append(one)
            lost = await watch.until_ended(set(sent), _END_S)
            self.missing = sorted(lost)
            self.jobs, self.lost, self.twice = len(sent), len(lost), watch.twice
        for name in ("w1", "w2"):
            await stand.terminate(name)
        return found

    async def _change(
        self,
        watch: TaskWatch,
        group: Group,
        act: Callable[[], Awaitable[None]],
        after: set[str],
        sent: dict[str, float],
    ) -> dict[str, Any]:
        """Do something to a worker; gives the silences until all is calm again."""
        owners = await group.owners()
        others = Joins(self._logs, {"w1", "w2"})
        since = time.monotonic()
        await act()
        done_s = time.monotonic() - since
        now = await group.shared_by(after, _SHARED_S)
        shared_s = time.monotonic() - since
        await calm(watch, sent)
        until = time.monotonic() - _BEFORE_S  # what came just now may not be read yet
        moved = sorted(n for n in now if now[n] != owners.get(n))
        return {
            "moved": moved,
            "rebalances_of_the_others": others.count(),
            "act_s": round(done_s, 2),
            "shared_anew_s": round(shared_s, 2),
            **pauses(
                watch.tasks_of_partitions,
                moved=moved,
                struck=[n for n, owner in owners.items() if owner == "w3"],
                since=since,
                until=until,
            ),
        }

    async def _start(self, name: str) -> None:
        self._stand.start(name, self._space.settings)
        await self._stand.ready(name)

    async def _join(self) -> None:
        await self._start("w3")

    async def _kill(self) -> None:
        self._stand.kill("w3")
        await self._start("w3")

    async def _leave(self) -> None:
        await self._stand.terminate("w3")
