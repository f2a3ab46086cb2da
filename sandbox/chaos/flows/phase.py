"""Workflows side by side: hundreds begin at once, a worker is killed in the middle, and all must end.

A town of its own, without the other faults, and with limits as in life: each task is done just once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from models.workflow import TaskState as T
from sandbox.chaos.client import Client
from sandbox.chaos.collect import keep_messages, managed, read_history
from sandbox.chaos.diary import Diary
from sandbox.chaos.flows.asker import Asker
from sandbox.chaos.flows.plan import Flow, make_crowd, rows
from sandbox.chaos.flows.service import Service
from sandbox.chaos.history import History
from sandbox.chaos.limits import SCAN_S
from sandbox.chaos.person import Person
from sandbox.chaos.settle import settle, watching
from sandbox.chaos.topics import read_all
from sandbox.chaos.town import PARTITIONS, PREFIX, Town
from sandbox.chaos.watch import Watch

WORKERS: Final = ("w1", "w2")
_SETTINGS: Final = {"SCANHUB_SCANS_PER_DEVICE": "1", "SCANHUB_DISK_FREE_MB": "0"}
_TOLD_S: Final = 60.0
"""So long after the last end the exam manager may still not have been told."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How many workflows, on how many devices."""

    seed: int
    folder: Path
    count: int
    devices: int
    workers: Sequence[str] = WORKERS
    app: str = "faust_app"
    scan_s: float = SCAN_S
    quiet_s: float = 60.0
    settle_s: float = 1200.0


async def side_by_side(options: Options, say: Callable[[str], None]) -> History:
    """Run them all; gives what all parties saw."""
    devices = [f"mri-{n + 1}" for n in range(options.devices)]
    flows = make_crowd(options.seed, options.count, devices)
    async with Town(
        options.folder,
        app=options.app,
        workers=options.workers,
        devices=devices,
        era="uuid",
        settings=_SETTINGS,
        scan_s=options.scan_s,
    ) as town:
        await town.furnish(options.workers)
        await town.seed(rows(flows, PREFIX))
        say(f"{len(flows)} workflows on {len(devices)} devices begin")
        await _run(options, town, flows, say)
        history = read_history(
            options.folder,
            seed=options.seed,
            partitions=PARTITIONS,
            devices=devices,
            messages=await read_all(town.kafka.bootstrap, PREFIX, PARTITIONS),
        )
    keep_messages(options.folder / "messages.jsonl", history.messages)
    return replace(history, flows=flows)


async def _run(
    options: Options, town: Town, flows: Sequence[Flow], say: Callable[[str], None]
) -> None:
    """Ask for all, kill a worker in the middle, and wait until all is done and told."""
    diary, began = Diary(options.folder / "client.jsonl"), time.monotonic()
    try:
        async with (
            watching(town) as watch,
            Client(town.kafka.bootstrap, PREFIX, diary) as client,
        ):
            person = Person(options.seed, client, watch, town.started)
            place = (town.kafka.bootstrap, PREFIX, PARTITIONS)
            service = Service(place, options.seed, flows, client)
            asker = Asker(flows, client, watch)
            minds = [
                asyncio.create_task(mind) for mind in (person.mind(), asker.mind(), service.run())
            ]
            await asker.run()
            killing = asyncio.create_task(_kill_in_the_middle(town, watch, len(flows), say))
            _, left = await settle(
                options.folder,
                watch,
                asker.open,
                quiet_s=options.quiet_s,
                most_s=options.settle_s,
            )
            killing.cancel()
            await _told(town, len(flows))
            for mind in minds:
                mind.cancel()
            await client.settle()
        town.diary.note("at-rest", seconds=round(time.monotonic() - began, 1))
        say(f"{len(flows)} workflows side by side took {time.monotonic() - began:.0f} s{left}")
    finally:
        diary.close()


async def _kill_in_the_middle(
    town: Town, watch: Watch, count: int, say: Callable[[str], None]
) -> None:
    """SIGKILL a worker when half of all tasks are done; its supervisor starts it again."""
    half = 3 * count / 2
    while (done := sum(one.tasks.count(T.COMPLETED) for one in watch.flows.values())) < half:
        await watch.change(1.0)
    town.workers[next(iter(town.workers))].kill()
    say(f"a worker is killed: {done} of {3 * count} tasks are done")


async def _told(town: Town, count: int) -> None:
    """Wait until the exam manager knows that all are finished; what it does not know is judged later."""
    until = time.monotonic() + _TOLD_S
    while time.monotonic() < until:
        rows_ = managed(town.folder / "exams.jsonl")
        done = {
            one["key"] for one in rows_ if one["table"] == "workflows" and one["row"]["is_finished"]
        }
        if len(done) >= count:
            return
        await asyncio.sleep(0.5)
