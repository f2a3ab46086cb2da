"""One run: load and faults side by side, then rest, a last restart, and all histories read in."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from sandbox.chaos.acts import make_acts
from sandbox.chaos.client import Client
from sandbox.chaos.collect import keep_messages, lines, read_history
from sandbox.chaos.diary import Diary
from sandbox.chaos.faults import Faults
from sandbox.chaos.flows.asker import Asker
from sandbox.chaos.flows.plan import Flow, make_flows, rows
from sandbox.chaos.flows.service import Service
from sandbox.chaos.fuzz.inputs import make_inputs
from sandbox.chaos.fuzz.outcome import Fuzzed
from sandbox.chaos.fuzz.phase import fuzz
from sandbox.chaos.history import History
from sandbox.chaos.person import Person
from sandbox.chaos.plan import Fault, Kind, make_plan, to_json
from sandbox.chaos.rules.scans import ENDS
from sandbox.chaos.settle import Open, settle, watching
from sandbox.chaos.topics import ask_states, read_all
from sandbox.chaos.town import GROUP, MANAGERS, PARTITIONS, PREFIX, Era, Town
from sandbox.chaos.traffic import Order, make_traffic
from sandbox.chaos.watch import Watch

WORKERS: Final = ("w1", "w2")
EXTRA: Final = "w3"
JOBS_A_MINUTE: Final = 105
JOBS_A_FLOW: Final = 12
"""With UUIDs a workflow comes with so many scan jobs."""
FAULTS_A_MINUTE: Final = 2.5
_SAMPLE: Final = 200


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is made. `quiet_s`: after so long without a change nothing more is expected."""

    seed: int
    seconds: float
    jobs: int
    folder: Path
    app: str = "faust_app"
    kinds: Sequence[Kind] = tuple(Kind)
    plan: Sequence[Fault] | None = None
    """These faults and no others, in place of those that the seed gives."""
    workers: Sequence[str] = WORKERS
    devices: Sequence[str] = ("mri-1", "mri-2", "mri-3", "mri-4")
    quiet_s: float = 30.0
    settle_s: float = 240.0
    restart: bool = True
    era: Era = "integer"
    """How the exam manager keeps records. With UUIDs there are workflows too."""
    fuzz: int = 0
    """So many random messages follow at the end, when all else was read in."""


Say = Callable[[str], None]


async def run(options: Options, say: Say) -> History:
    """Run it; gives what all parties saw."""
    uuids, devices = options.era == "uuid", list(options.devices)
    orders = make_traffic(options.seed, options.seconds, options.jobs, devices, uuids=uuids)
    count = options.jobs // JOBS_A_FLOW if uuids else 0
    flows = make_flows(options.seed, options.seconds, count, devices)
    names = (*options.workers, EXTRA)
    async with Town(
        options.folder, app=options.app, workers=names, devices=devices, era=options.era
    ) as town:
        began = time.monotonic()
        await town.furnish(options.workers)
        await town.seed(rows(flows, PREFIX))
        plan = options.plan if options.plan is not None else _plan(options, town)
        (options.folder / "plan.json").write_text(to_json(plan))
        took = time.monotonic() - began
        say(
            f"ready after {took:.0f} s: {len(orders)} messages, {len(flows)} workflows and"
            f" {len(plan)} faults to come"
        )
        if town.disk.why_not and Kind.DISK_FULL in options.kinds:
            say(f"{Kind.DISK_FULL} is left out: {town.disk.why_not}")
        await _load(options, town, say, orders=orders, flows=flows, plan=plan)
        if options.restart:
            await _restart(options, town)
            async with watching(town) as watch:  # what only waited for a restart comes now
                took, waited_for = await _settle(options, watch, lambda: ())
            say(f"all workers are started anew; at rest after {took:.0f} s{waited_for}")
        history = read_history(
            options.folder,
            seed=options.seed,
            partitions=PARTITIONS,
            devices=options.devices,
            messages=await read_all(town.kafka.bootstrap, PREFIX, PARTITIONS),
        )
        history = replace(history, flows=flows)
        keep_messages(options.folder / "messages.jsonl", history.messages)
        say(f"{len(history.messages)} messages read")
        if options.restart:
            questions = _sample(history)
            answers = await ask_states(town.kafka.bootstrap, PREFIX, PARTITIONS, questions)
            told = {record: json.loads(answer) for record, answer in answers.items()}
            history = replace(history, questions=questions, answers=told)
        if options.fuzz:
            history = replace(history, fuzzed=await _fuzz(options, town))
            say(f"{options.fuzz} random messages followed to their ends")
        return history


async def _fuzz(options: Options, town: Town) -> Fuzzed:
    """Send random messages on every input topic; no worker may end by them."""
    town.diary.note("fuzz-begins")
    inputs = make_inputs(options.seed, options.fuzz, options.devices, PARTITIONS)
    found = await fuzz(town.kafka.bootstrap, PREFIX, PARTITIONS, inputs, group=GROUP)
    seen = [line["what"] for line in lines(options.folder / "runner.jsonl")]
    exits = seen[seen.index("fuzz-begins") :].count("exit")
    crashed = [f"{exits} times a worker ended"] if exits else []
    return replace(found, problems=[*crashed, *found.problems])


def _plan(options: Options, town: Town) -> tuple[Fault, ...]:
    targets = {
        "worker": list(options.workers),
        "extra": [EXTRA],
        "broker": ["broker"],
        "link": [f"link-{name}" for name in options.workers],
        "manager": [f"manager-{name}" for name in MANAGERS],
        "exam": ["manager-exam"],
        "device": list(options.devices),
        "lake": [] if town.disk.why_not else ["lake"],
    }
    at_least = round(options.seconds / 60 * FAULTS_A_MINUTE)
    return make_plan(options.seed, options.seconds, targets, kinds=options.kinds, at_least=at_least)


async def _load(
    options: Options,
    town: Town,
    say: Say,
    *,
    orders: Sequence[Order],
    flows: Sequence[Flow],
    plan: Sequence[Fault],
) -> None:
    """Send, command and strike side by side, make all well, and wait until all has come to rest."""
    diary = Diary(options.folder / "client.jsonl")
    acts = make_acts(options.seed, options.seconds, options.devices)
    try:
        async with watching(town) as watch:
            async with Client(town.kafka.bootstrap, PREFIX, diary) as client:
                person = Person(options.seed, client, watch, town.started)
                faults = Faults(town, person)
                place = (town.kafka.bootstrap, PREFIX, PARTITIONS)
                service = Service(place, options.seed, flows, client)
                asker = Asker(flows, client, watch)
                minds = (person.mind(), asker.mind(), service.run())
                minding = [asyncio.create_task(mind) for mind in minds]
                async with asyncio.TaskGroup() as group:
                    group.create_task(client.run(orders))
                    group.create_task(faults.run(plan))
                    group.create_task(person.act(acts))
                    group.create_task(asker.run())
                    telling = asyncio.create_task(_tell(watch, client, say))
                telling.cancel()
                await faults.make_well()
                town.diary.note("all-is-well")
                lost = await client.settle()
                say(
                    f"all is well again; {client.acknowledged} messages acknowledged, {lost} unclear"
                )
                for device in options.devices:
                    person.release(device)
                person.hurry = True
                took, waited_for = await _settle(options, watch, asker.open)
                for mind in minding:
                    mind.cancel()
                await client.settle()
            town.diary.note("at-rest", seconds=took)
            say(f"at rest after {took:.0f} s, {watch.events} events{waited_for}")
    finally:
        diary.close()


async def _tell(watch: Watch, client: Client, say: Say) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(30)
        ends = sum(state in ENDS for state in watch.states())
        at = time.monotonic() - began
        say(f"{at:4.0f} s: {client.acknowledged} acknowledged, {ends} ended")


async def _settle(options: Options, watch: Watch, flows: Open) -> tuple[float, str]:
    quiet_s, most_s = options.quiet_s, options.settle_s
    return await settle(options.folder, watch, flows, quiet_s=quiet_s, most_s=most_s)


async def _restart(options: Options, town: Town) -> None:
    """End all workers and start them anew; one of them must build its tables from the topics."""
    workers = [town.workers[name] for name in options.workers]
    await asyncio.gather(*(worker.give_up() for worker in workers))
    for folder in town.state_folders(workers[0].name):
        shutil.rmtree(folder)
    for worker in workers:
        worker.settings.clear()
        worker.keep()
    async with asyncio.timeout(90):
        for worker in workers:
            await worker.ready.wait()


def _sample(history: History) -> list[str]:
    """Choose finished records to ask for: all, or a number of them that the seed chooses."""
    finished = sorted(
        record
        for key, record in history.record_of.items()
        if history.changes[key][-1].state in ENDS
    )
    dice = Random(f"{history.seed}/questions")  # noqa: S311 - no secret, and must repeat
    return dice.sample(finished, min(_SAMPLE, len(finished)))
