"""What is measured of one size: the start without local state, rounds of load, kills."""

import time
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any, Final

from bench.deaths import calm, figures, sending
from bench.grow_backlog import backlog
from bench.grow_burst import jobs
from bench.grow_disk import folder_bytes
from bench.grow_size import Space
from bench.grow_watch import TaskWatch
from bench.load import Load
from bench.report import percentiles
from bench.stand import Stand

DEVICES: Final = 50
RATE: Final = 50.0
KILL_RATE: Final = 10.0
_COLD_S: Final = 3600.0
"""A million records are eight million rows, and a slow machine replays 9,000 of them a second."""
_SETTLE_S: Final = 3.0
_OUTPUT_S: Final = 120.0
_END_S: Final = 60.0
_BLOCK: Final = 200_000


class Rounds:
    """Measures one size; keeps what was sent, and whether all of it came out, once."""

    def __init__(self, stand: Stand, space: Space, state: Path) -> None:
        self._stand = stand
        self._space = space
        self._state = state
        self._firsts = count(1, _BLOCK)
        self.sent = 0
        self.lost = 0
        self.missing: list[str] = []
        self.twice = 0

    async def cold(self, rows: int) -> dict[str, Any]:
        """Start a worker that has no local state: it replays the changelogs. Ends it again."""
        name = self._space.name
        began = time.monotonic()
        await self._start(_COLD_S)
        ready_s = time.monotonic() - began
        usage = self._stand.usage(name)
        await self._stand.terminate(name)
        return {
            "ready_s": round(ready_s, 1),
            "rows_per_second": round(rows / ready_s),
            "rss_mb": None if usage is None else round(usage.rss_mb),
            "most_mb": None if usage is None else round(usage.most_mb),
            "local_state_mb": round(folder_bytes(self._state_folder()) / 1e6, 1),
        }

    async def round(self, number: int, seconds: float) -> dict[str, Any]:
        """Start the worker, give it a backlog, then a steady rate; end it."""
        name = self._space.name
        began = time.monotonic()
        await self._start(_OUTPUT_S)
        ready_s = time.monotonic() - began
        async with AsyncExitStack() as stack:
            load, watch = await self._look(stack)
            names, _ = await load.at_once(DEVICES)  # connections, imports, caches
            await watch.until(lambda: names <= watch.tasks.keys(), _OUTPUT_S)
            found = await self._backlog(watch, number, names)
            names.update(await load.at_rate(RATE, _SETTLE_S))
            await watch.until(lambda: names <= watch.tasks.keys(), _OUTPUT_S)
            due = await load.at_rate(RATE, seconds)
            names.update(due)
            expected = DEVICES + number + int(RATE * _SETTLE_S) + int(RATE * seconds)
            await self._settle(watch, names, expected)
            usage = self._stand.usage(name)
        await self._stand.terminate(name)
        took = [watch.tasks[n] - at for n, at in due.items() if n in watch.tasks]
        return {
            "ready_s": round(ready_s, 1),
            **found,
            "to_device_task_ms": percentiles(took),
            "rss_mb": None if usage is None else round(usage.rss_mb),
            "most_mb": None if usage is None else round(usage.most_mb),
        }

    async def kills(self, times: int) -> dict[str, Any]:
        """SIGKILL the worker under load and start it at once, with its local state."""
        name = self._space.name
        await self._start(_OUTPUT_S)
        outputs: list[float | None] = []
        readies: list[float | None] = []
        async with AsyncExitStack() as stack:
            load, watch = await self._look(stack)
            async with sending(load, KILL_RATE) as sent:
                for _ in range(times):
                    await calm(watch, sent)
                    moment = self._stand.kill(name)
                    await self._start(_OUTPUT_S)
                    readies.append(time.monotonic() - moment)
                    await watch.until(
                        lambda at=moment: watch.first_after(at) is not None,  # type: ignore[misc]
                        _OUTPUT_S,
                    )
                    first = watch.first_after(moment)
                    outputs.append(None if first is None else first - moment)
            await self._settle(watch, set(sent), len(sent))
        await self._stand.terminate(name)
        return {
            "sigkill_to_first_output_s": figures(outputs),
            "sigkill_to_ready_s": figures(readies),
        }

    async def _start(self, limit_s: float) -> None:
        self._stand.start(self._space.name, self._space.settings)
        await self._stand.ready(self._space.name, limit_s)

    async def _look(self, stack: AsyncExitStack) -> tuple[Load, TaskWatch]:
        """Open what sends and what watches."""
        bootstrap, prefix = self._stand.kafka.bootstrap, self._space.prefix
        load = await stack.enter_async_context(
            Load(bootstrap, DEVICES, first=next(self._firsts), prefix=prefix)
        )
        watch = TaskWatch(bootstrap, self._stand.address, load, self._stand.check)
        return load, await stack.enter_async_context(watch)

    async def _backlog(self, watch: TaskWatch, number: int, names: set[str]) -> dict[str, Any]:
        """Send jobs in one moment, and measure until they are settled; adds their names."""
        made = jobs(next(self._firsts), number, DEVICES)
        watch.look_away()
        found = await backlog(self._stand, self._space, [self._space.name], made)
        watch.look_again()
        names.update(made)
        await watch.until(lambda: names <= watch.tasks.keys(), _END_S)
        self.lost += number - found["settled"]
        return found

    async def _settle(self, watch: TaskWatch, names: set[str], expected: int) -> None:
        """Count what was sent, and what of it did not come out, or came out as two.

        Raises RuntimeError if other jobs were looked for than were sent: "none lost" would be empty.
        """
        if len(names) != expected:
            raise RuntimeError(f"{expected} jobs were sent, {len(names)} are looked for")
        lost = await watch.until_ended(names, _END_S)
        self.sent += len(names)
        self.lost += len(lost)
        self.missing += sorted(lost)
        self.twice += watch.twice

    def _state_folder(self) -> Path:
        found = list(self._state.glob(f"*-{self._space.app_id}-{self._space.name}"))
        return found[0] if found else self._state
