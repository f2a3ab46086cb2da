"""Waits until all that was asked for has an end, and nothing comes any more."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sized
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from models.events import FINAL
from models.events import ScanState as S
from models.workflow import WorkflowStatus as W
from sandbox.chaos.collect import lines
from sandbox.chaos.seen import Seen
from sandbox.chaos.town import PARTITIONS, PREFIX, Town
from sandbox.chaos.watch import Watch

_REST_S: Final = 3.0
"""So long nothing may change after the last end: what comes late would change it again."""

Open = Callable[[], Sized]
"""Gives the workflows that are not yet at their ends."""


@asynccontextmanager
async def watching(town: Town) -> AsyncIterator[Watch]:
    """Follow events, dead letters and answers from their start, until the block is left."""
    watch = Watch(town.kafka.bootstrap, PREFIX, PARTITIONS)
    following = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def settle(
    folder: Path, watch: Watch, flows: Open, *, quiet_s: float, most_s: float
) -> tuple[float, str]:
    """Wait; gives how long, and what has no end. After `quiet_s` without a change it gives up."""
    began = time.monotonic()
    watch.changed_at = began
    acknowledged = {
        str(line["mark"])
        for line in lines(folder / "client.jsonl")
        if line["what"] == "acknowledged"
    }
    bad = {mark.encode() for mark in acknowledged if mark.startswith("bad-")}
    good = sum(mark.startswith("good-") and not mark.endswith("-repeat") for mark in acknowledged)
    while True:
        scans = list(watch.scans.values())
        missing = good - sum(one.workflow is None for one in scans)
        jobs = max(missing, 0) + sum(not ended(one, watch) for one in scans)
        letters, left = len(bad - watch.dead), len(flows())
        enough = quiet_s if jobs or letters or left else _REST_S
        until = min(watch.changed_at + enough, began + most_s)
        if (wait := until - time.monotonic()) <= 0:
            break
        await watch.change(wait)
    told = ""
    if jobs or letters or left:
        told = f"; {jobs} jobs and {left} workflows without an end, {letters} letters missing"
    return round(time.monotonic() - began, 1), told


def ended(scan: Seen, watch: Watch) -> bool:
    """Tell whether nothing more is to come of a scan: also of one whose workflow stopped after it."""
    if scan.state in FINAL:
        return True
    flow = watch.flows.get(scan.workflow or "")
    return scan.state == S.ACQUIRED and flow is not None and flow.status == W.CANCELLED
