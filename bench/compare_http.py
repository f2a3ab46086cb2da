"""Jobs for the old way: each is a POST, and its answer is the device task."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import aiohttp

from bench.compare_bus import Jobs, Seen
from models.scan import ScanJob

CONCURRENT: Final = 16
"""POSTs at once while there is a backlog."""

_Post = Callable[[str, ScanJob], Awaitable[None]]


class HttpLoad:
    """Sends jobs to the address in the line with which the rival was ready."""

    def __init__(self, line: str, jobs: Jobs) -> None:
        self.repeated = 0
        self._url = f"http://{json.loads(line)['address']}/jobs"
        self._jobs = jobs

    def backlog(self, jobs: int, limit_s: float) -> Seen:
        """Post so many jobs, as many at once as `CONCURRENT`."""
        made = self._jobs.make(jobs)
        began = time.monotonic()
        seen = Seen(sent={name: began for name, _ in made})
        waiting = iter(made)

        async def some(post: _Post) -> None:
            for name, job in waiting:
                await post(name, job)

        asyncio.run(self._run(seen, [some] * CONCURRENT, limit_s))
        return seen

    def at_rate(self, per_second: float, seconds: float, limit_s: float) -> Seen:
        """Post jobs at their times, whatever comes back (open loop); a job counts from its time."""
        made = self._jobs.make(max(2, int(per_second * seconds)))
        began = time.monotonic()
        seen = Seen(sent={name: began + n / per_second for n, (name, _) in enumerate(made)})

        async def at_its_time(name: str, job: ScanJob, post: _Post) -> None:
            await asyncio.sleep(seen.sent[name] - time.monotonic())
            await post(name, job)

        async def all_of_them(post: _Post) -> None:
            async with asyncio.TaskGroup() as group:
                for name, job in made:
                    group.create_task(at_its_time(name, job, post))

        asyncio.run(self._run(seen, [all_of_them], seconds + limit_s))
        return seen

    def linger(self, _seconds: float) -> None:
        """Do nothing: an answer comes once."""

    def close(self) -> None:
        """Do nothing: connections are closed after each phase."""

    async def _run(
        self, seen: Seen, senders: list[Callable[[_Post], Awaitable[None]]], limit_s: float
    ) -> None:
        """Run the senders; what is not answered when the limit is over is missing."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def post(name: str, job: ScanJob) -> None:
                # A job without a good answer stays without a task, and is counted as such.
                with suppress(aiohttp.ClientError):
                    async with session.post(self._url, data=job.to_bytes()) as answer:
                        await answer.read()
                        if answer.ok:
                            seen.note(name, time.monotonic())

            sending = [asyncio.ensure_future(sender(post)) for sender in senders]
            done, late = await asyncio.wait(sending, timeout=limit_s)
            for sender in late:
                sender.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            for sender in done:
                sender.result()
