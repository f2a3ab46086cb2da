"""Lets the plan's faults strike, each at its time, and makes everything well again."""

import asyncio
import shutil
import time
from collections.abc import Sequence
from typing import Final

from sandbox.chaos.person import Person
from sandbox.chaos.plan import Fault, Kind
from sandbox.chaos.town import Town

HOLD_FIRST_S: Final = 1.0
"""So long a device is on hold before a worker is killed."""
_LINK_MODES: Final = {Kind.LINK_CUT: "cut", Kind.LINK_STALL: "stall"}


class Faults:
    """Strikes a town; the operator has a hand in some of it."""

    def __init__(self, town: Town, person: Person) -> None:
        self._town = town
        self._person = person

    async def run(self, plan: Sequence[Fault]) -> None:
        """Strike with the whole plan; returns when the last fault is over."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                group.create_task(self._at(began, fault))

    async def make_well(self) -> None:
        """Take back whatever is left of any fault."""
        town = self._town
        for link in town.links.values():
            await link.set("pass")
        for service in (
            *(f"manager-{name}" for name in ("exam", "device", "sequence")),
            *town.devices,
        ):
            await town.knobs(service, {})
        if not town.disk.why_not:
            town.disk.free()
        if not town.kafka.running:
            await asyncio.to_thread(town.kafka.start)

    async def _at(self, began: float, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, began + fault.t - time.monotonic()))
        told = {"kind": fault.kind, "target": fault.target, "parameters": dict(fault.parameters)}
        self._town.diary.note("fault-begins", seconds=fault.seconds, **told)
        await self._strike(fault)
        self._town.diary.note("fault-ends", **told)

    async def _strike(self, fault: Fault) -> None:
        kind = fault.kind.value
        if fault.target == "broker":
            await self._broker(fault)
        elif kind.startswith("link-"):
            link = self._town.links[fault.target.removeprefix("link-")]
            delay = f"delay {fault.parameters.get('delay_ms', 0)}"
            await link.set(_LINK_MODES.get(fault.kind, delay))
            await asyncio.sleep(fault.seconds)
            await link.set("pass")
        elif fault.kind is Kind.DISK_FULL:
            await asyncio.to_thread(self._town.disk.fill)
            await asyncio.sleep(fault.seconds)
            self._town.disk.free()
        elif kind.startswith(("manager-", "device-")):
            await self._town.knobs(fault.target, fault.parameters)
            await asyncio.sleep(fault.seconds)
            await self._town.knobs(fault.target, {})
        else:
            await self._worker(fault)

    async def _broker(self, fault: Fault) -> None:
        kafka = self._town.kafka
        if fault.kind is Kind.BROKER_KILL:
            await asyncio.to_thread(kafka.kill)
            await asyncio.sleep(fault.seconds)
            await asyncio.to_thread(kafka.start)
            return
        kafka.freeze()
        await asyncio.sleep(fault.seconds)
        kafka.thaw()

    async def _worker(self, fault: Fault) -> None:
        """End, freeze or add a worker; its supervisor starts it again after the fault's time."""
        worker = self._town.workers[fault.target]
        if fault.kind is Kind.WORKER_ADDED:
            worker.keep()
            await asyncio.sleep(fault.seconds)
            await worker.give_up()
            return
        if fault.kind is Kind.WORKER_FREEZE:
            worker.freeze()
            await asyncio.sleep(fault.seconds)
            worker.thaw()
            return
        if fault.kind is Kind.HOLD_AND_KILL:
            device = str(fault.parameters["device"])
            self._person.hold(device)
            await asyncio.sleep(HOLD_FIRST_S)
            worker.kill()
            await asyncio.sleep(fault.seconds - HOLD_FIRST_S)
            self._person.release(device)
            return
        worker.pause_s = fault.seconds
        if fault.kind is Kind.CLOCK_STEPPED:
            worker.settings["SCANHUB_CLOCK_OFFSET_S"] = str(fault.parameters["offset_s"])
        if fault.kind is Kind.STATE_DELETED:
            worker.between = lambda: self._delete_state(fault.target)
        if fault.kind is Kind.WORKER_UPGRADE:
            await worker.terminate()
        else:
            worker.kill()

    def _delete_state(self, worker: str) -> None:
        for folder in self._town.state_folders(worker):
            shutil.rmtree(folder)
