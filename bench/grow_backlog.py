"""A backlog of jobs, measured until the processor has done all of its work for them."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.grow_burst import Ends, Sent, burst
from bench.grow_disk import bytes_by_topic
from bench.grow_size import Space
from bench.stand import Stand
from models import wire

_LIMIT_S: Final = 300.0
_LOOK_S: Final = 0.02


async def backlog(
    stand: Stand, space: Space, workers: Sequence[str], made: Mapping[str, Sent]
) -> dict[str, Any]:
    """Send jobs in one moment; gives rates, processor time and the broker's bytes of each job.

    `tasks_per_second` is until all device tasks are out. That is not all of the work: in a backlog
    the record's aggregate comes to its part (event, scan's row, deadline) only afterwards. So
    `jobs_per_second` is until each job's scan has its row, which is the last that is written for it.
    Nothing else may be sent meanwhile.
    """
    number, bootstrap, partitions = len(made), stand.kafka.bootstrap, space.partitions
    tasks, scans = space.topics[wire.DEVICE_TASKS], f"{space.app_id}-scans-changelog"
    async with Ends(bootstrap, (tasks, scans), partitions) as ends:
        goal = await ends.totals()
        goal.update({tasks: number, scans: number})
        disk, before = _disk(stand, space), _cpu(stand, workers)
        began = await burst(bootstrap, space.topics[wire.SCAN_JOBS], partitions, made.values())
        reached: dict[str, float] = {}
        while len(reached) < len(goal) and time.monotonic() < began + _LIMIT_S:
            now = await ends.totals()
            for topic in goal:
                if now[topic] >= goal[topic]:
                    reached.setdefault(topic, time.monotonic() - began)
            stand.check()
            await asyncio.sleep(_LOOK_S)
        cpu_s = _cpu(stand, workers) - before
        settled = number - max(0, goal[scans] - now[scans])
        grown = _disk(stand, space)
    grown.subtract(disk)
    return {
        "backlog": number,
        "settled": settled,
        "tasks_per_second": _rate(number, reached.get(tasks)),
        "jobs_per_second": _rate(number, reached.get(scans)),
        "worker_cpu_ms_per_job": round(1000 * cpu_s / max(1, settled), 3) if cpu_s else None,
        "broker_bytes_per_job": {
            topic: round(size / number) for topic, size in grown.most_common() if size > 0
        },
    }


def _rate(number: int, seconds: float | None) -> float | None:
    return None if seconds is None else round(number / seconds, 1)


def _cpu(stand: Stand, workers: Sequence[str]) -> float:
    """Give the processor time of all workers so far, s; 0 where there is no /proc."""
    used = [stand.usage(name) for name in workers]
    return sum(one.cpu_s for one in used if one is not None)


def _disk(stand: Stand, space: Space) -> Any:
    data = stand.kafka.folder / "data"
    return bytes_by_topic(data, space.prefix, f"{space.app_id}-")
