"""Part C: 50,000 jobs for a scanner that hangs, and how the other devices fare."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from typing import Any, Final

from bench.load import Load
from bench.report import percentiles
from bench.stand import Stand
from bench.stub import HANGS
from bench.timeline import Timeline
from models.events import ScanState
from streams.topics import partition_of

DEVICE: Final = f"{HANGS}-1"
FIRST: Final = 1_000_001
RATE: Final = 5.0
_BEFORE_S: Final = 20.0
_AFTER_S: Final = 40.0
_INTAKE_S: Final = 600.0
_END_S: Final = 60.0
_PORTION: Final = 1000
_ALIVE: Final = frozenset(
    {ScanState.WAITING, ScanState.READY, ScanState.STARTING, ScanState.UNKNOWN}
)


async def crowd(stand: Stand, load: Load, watch: Timeline, jobs: int) -> dict[str, Any]:
    """Give one device its crowd while others get a few jobs each second."""
    stand.start("w1")
    await stand.ready("w1")
    warm, _ = await load.at_once(50)
    await watch.until_started(warm, 20)
    sent: dict[str, float] = {}
    others = asyncio.create_task(load.go_on(RATE, sent))
    try:
        await asyncio.sleep(_BEFORE_S)
        before, began = stand.usage("w1"), time.monotonic()
        async with Load(stand.kafka.bootstrap, [DEVICE], first=FIRST) as crowding:
            names: set[str] = set()
            while len(names) < jobs:
                portion, _ = await crowding.at_once(min(_PORTION, jobs - len(names)))
                names |= portion
                watch.read_events()
        produced = time.monotonic()

        def taken_in() -> bool:
            watch.read_events()
            return names <= watch.accepted and names <= watch.states.keys()

        while not (all_in := taken_in()) and time.monotonic() < began + _INTAKE_S:
            stand.check()
            await asyncio.sleep(1)
        done, after = time.monotonic(), stand.usage("w1")
        await asyncio.sleep(_AFTER_S)
    finally:
        others.cancel()
        with suppress(asyncio.CancelledError):
            await others
    lost_others = await watch.until_ended(set(sent), _END_S)
    await watch.look_for_starts()
    watch.read_events()
    at_end = stand.usage("w1")
    states = Counter(watch.states.get(name, "NONE") for name in names)
    lost = [n for n in names if n not in watch.accepted or watch.states.get(n) not in _ALIVE]
    await stand.terminate("w1")
    same = partition_of(DEVICE.encode(), stand.partitions)
    return {
        "crowd": jobs,
        "others_per_second": RATE,
        "others_to_device_task_ms": {
            phase: _latencies(watch, _due(sent, first, last), same)
            for phase, first, last in (
                ("before", began - _BEFORE_S, began),
                ("intake", began, done),
                ("waiting", done, done + _AFTER_S),
            )
        },
        "produced_s": round(produced - began, 1),
        "intake_s": round(done - began, 1),
        "intake_complete": all_in,
        "taken_in": len(names & watch.accepted & watch.states.keys()),
        "worker_cpu_share_in_intake": None
        if before is None or after is None
        else round((after.cpu_s - before.cpu_s) / (done - began), 2),
        "worker_rss_before_mb": None if before is None else round(before.rss_mb),
        "worker_rss_end_mb": None if at_end is None else round(at_end.rss_mb),
        "crowd_states": {str(state): number for state, number in states.items()},
        "crowd_starts": len(watch.starts.keys() & names),
        "started_twice": watch.repeated_starts,
        "crowd_lost": len(lost),
        "others_not_ended": len(lost_others),
        "good": not lost and not lost_others and not watch.repeated_starts,
    }


def _due(sent: dict[str, float], first: float, last: float) -> dict[str, float]:
    return {name: due for name, due in sent.items() if first <= due < last}


def _latencies(watch: Timeline, sent: dict[str, float], partition: int) -> dict[str, Any]:
    """Give how long the others' jobs took; those of the crowd's partition also by themselves."""
    took = {name: watch.tasks[name] - due for name, due in sent.items() if name in watch.tasks}
    beside = [s for name, s in took.items() if watch.task_partitions[name] == partition]
    return {
        "jobs": len(sent),
        "without_task": len(sent) - len(took),
        "all": percentiles(list(took.values())),
        "of_the_crowds_partition": percentiles(beside),
    }
