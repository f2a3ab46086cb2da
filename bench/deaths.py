"""Parts A and B: how long a worker's end is felt, with one worker and with two."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from statistics import median
from typing import Any, Final

from bench.load import Load, device_names
from bench.stand import Stand
from bench.timeline import Timeline
from streams.topics import partition_of

DEVICES: Final = 50
KILLS: Final = 5
TERMS: Final = 3
LOSSES: Final = 3
RATE: Final = 10.0
RATE_OF_TWO: Final = 25.0
"""Each of 50 devices has a job every 2 s, so that a partition's silence is the worker's."""
_OUTPUT_S: Final = 60.0
_CALM_S: Final = 3.0
_END_S: Final = 90.0
_WARM: Final = 50


async def one_worker(stand: Stand, load: Load, watch: Timeline) -> dict[str, Any]:
    """Part A: cold start, SIGKILL with a restart at once, SIGTERM."""
    names, _ = await load.at_once(_WARM)
    began = time.monotonic()
    stand.start("w1")
    await stand.ready("w1")
    ready_s = time.monotonic() - began
    await watch.until(lambda: watch.first_after(began) is not None, _OUTPUT_S)
    cold = {"ready_s": ready_s, "first_output_s": _since(watch.first_after(began), began)}
    kills: list[float | None] = []
    readies: list[float | None] = []
    terms: list[float | None] = []
    codes: list[int] = []
    async with sending(load, RATE) as sent:
        for _ in range(KILLS):
            await calm(watch, sent)
            moment = stand.kill("w1")
            stand.start("w1")
            await stand.ready("w1")
            readies.append(time.monotonic() - moment)
            await watch.until(lambda at=moment: watch.first_after(at) is not None, _OUTPUT_S)  # type: ignore[misc]
            kills.append(_since(watch.first_after(moment), moment))
        for _ in range(TERMS):
            await calm(watch, sent)
            took, code = await stand.terminate("w1")
            terms.append(took)
            codes.append(code)
            stand.start("w1")
            await stand.ready("w1")
    usage = stand.usage("w1")
    lost = await watch.until_ended(names | sent.keys(), _END_S)
    await watch.look_for_starts()
    await stand.terminate("w1")
    return {
        "jobs_per_second": RATE,
        "cold_start": {name: _rounded(value) for name, value in cold.items() if value},
        "sigkill_to_first_output_s": figures(kills),
        "sigkill_to_ready_s": figures(readies),
        "sigterm_to_end_s": figures(terms),
        "sigterm_exit_codes": codes,
        "worker_rss_mb": None if usage is None else round(usage.rss_mb),
        **_verdict(watch, names | sent.keys(), lost),
    }


async def two_workers(stand: Stand, load: Load, watch: Timeline) -> dict[str, Any]:
    """Part B: one of two is killed and stays away; the other takes over."""
    partitions = {partition_of(name.encode(), stand.partitions) for name in device_names(DEVICES)}
    for name in ("w1", "w2"):
        stand.start(name)
        await stand.ready(name)
    overs: list[float | None] = []
    silences: list[float | None] = []
    orphans: list[int] = []
    async with sending(load, RATE_OF_TWO) as sent:
        for number in range(LOSSES):
            await calm(watch, sent)
            victim = ("w2", "w1")[number % 2]
            moment = stand.kill(victim)

            def all_back(at: float = moment) -> bool:
                return all(watch.task_after(p, at) is not None for p in partitions)

            back = await watch.until(all_back, _OUTPUT_S)
            firsts = [watch.task_after(p, moment) for p in partitions]
            found = [at - moment for at in firsts if at is not None]
            overs.append(max(found) if back else None)
            silences.append(watch.longest_silence(moment))
            orphans.append(sum(took > _CALM_S for took in found))
            stand.start(victim)
            await stand.ready(victim)
    lost = await watch.until_ended(set(sent), _END_S)
    await watch.look_for_starts()
    for name in ("w1", "w2"):
        await stand.terminate(name)
    return {
        "jobs_per_second": RATE_OF_TWO,
        "sigkill_to_all_partitions_s": figures(overs),
        "partitions_taken_over": orphans,
        "longest_silence_of_all_s": figures(silences),
        **_verdict(watch, set(sent), lost),
    }


@asynccontextmanager
async def sending(load: Load, per_second: float) -> AsyncIterator[dict[str, float]]:
    """Send jobs at their times inside of the block; gives those acknowledged, as they come."""
    sent: dict[str, float] = {}
    going = asyncio.create_task(load.go_on(per_second, sent))
    try:
        yield sent
    finally:
        going.cancel()
        with suppress(asyncio.CancelledError):
            await going
        await asyncio.sleep(1)  # the last ones are acknowledged


async def calm(watch: Timeline, sent: dict[str, float]) -> None:
    """Wait until the jobs of a while ago are out and those of now come at once."""
    began = time.monotonic()

    def quick() -> bool:
        since = time.monotonic() - 1.0
        old = [name for name, due in sent.items() if began - 60 < due < since]
        return since > began and bool(old) and all(name in watch.tasks for name in old)

    await watch.until(quick, _OUTPUT_S)
    await asyncio.sleep(_CALM_S)


def _verdict(watch: Timeline, names: set[str], lost: set[str]) -> dict[str, Any]:
    return {
        "jobs": len(names),
        "jobs_not_ended": len(lost),
        "started_twice": watch.repeated_starts,
        "good": not lost and not watch.repeated_starts,
    }


def _since(moment: float | None, began: float) -> float | None:
    return None if moment is None else moment - began


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def figures(values: list[float | None]) -> dict[str, Any]:
    """Give all values, their median and the worst; one that is None never came."""
    known = [value for value in values if value is not None]
    return {
        "median": _rounded(median(known)) if known else None,
        "worst": _rounded(max(known)) if len(known) == len(values) else None,
        "all": [_rounded(value) for value in values],
    }
