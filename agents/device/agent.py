"""The device's agent: one stream of all topics that are keyed by device, one at a time for each."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from agents.device import decide, expiry
from agents.device.commands import Commands
from agents.device.ending import Ending
from agents.device.health import Health
from agents.device.parking import PLACES, Parking
from agents.device.post_device_task import TaskPoster
from agents.device.saying import announce, in_place
from agents.device.start_scan import ScanStarter
from agents.device.state import RequestRow, request_key
from agents.tools import Tools
from models import wire
from models.events import ScanState
from models.steps import DeviceStep, DeviceStepKind
from models.work import ParkedRow
from streams.inbound import Inbound
from streams.openwork import Due, OpenWork
from streams.tables import DurableTable

TOPICS = (wire.SCAN_JOBS, wire.SCAN_COMMANDS, wire.DEVICE_TASKS, wire.DEVICE_STEPS)

AT_ONCE: Final = 50
"""So many jobs line up again with one message: thousands would hold the device for seconds."""
K = DeviceStepKind


class DeviceAgent:
    """Routes a device's messages to what decides them."""

    def __init__(
        self, tools: Tools, requests: DurableTable[RequestRow], work: OpenWork[ParkedRow]
    ) -> None:
        self._tools = tools
        self._requests = requests
        self._work = work
        self._parking = Parking(tools, work)
        self._ending = Ending(tools, requests, self._parking)
        settings = tools.settings
        self.health = Health(tools.clock.monotonic, settings.retry_first_s, settings.retry_most_s)
        self._starter = ScanStarter(tools, requests, self._parking, self._ending, self.health)
        self._commands = Commands(tools, requests, self._parking, self._ending, self._starter)
        self._poster = TaskPoster(tools, requests, self._parking, self._ending)
        self._limited = settings.scans_per_device > 0
        self._handlers = {
            wire.SCAN_JOBS: self._starter.start_scan,
            wire.SCAN_COMMANDS: self._commands.answer_command,
            wire.DEVICE_TASKS: self._poster.post_device_task,
            wire.DEVICE_STEPS: self.step,
        }

    async def handle(self, inbound: Inbound) -> Awaitable[Any] | None:
        """Settle one message, and tell queued jobs of their places; gives what is to be awaited."""
        partition, device_id = inbound.partition, (inbound.key or b"").decode("utf-8", "replace")
        before = self._parking.places(partition, device_id)
        rest = await self._tools.settle(
            inbound,
            self._handlers[inbound.topic],
            bugs_are_fatal=inbound.topic == wire.DEVICE_TASKS,
        )
        after = self._parking.places(partition, device_id)
        if after == before or not before:
            return rest
        told = self._tell_places(partition, device_id, before, after, inbound.here)
        return told if rest is None else asyncio.gather(rest, told)

    async def _tell_places(
        self, partition: int, device_id: str, before: list[str], after: list[str], by: str
    ) -> None:
        """Tell the first of a queue where they are now; one that just came was told already."""
        for place, name in enumerate(after[:PLACES], start=1):
            parked = self._work.get(partition, device_id, name)
            same = before[place - 1 : place] == [name]
            if name not in before or same or parked is None:
                continue
            row = self._requests.get(partition, request_key(device_id, parked.request_id))
            if row is not None and row.stage is ScanState.QUEUED:
                await announce(self._tools, row, [in_place(row, place, by)])

    async def step(self, inbound: Inbound) -> None:
        """Take a step: of a timer, of this aggregate itself, or of a record's."""
        step, partition = inbound.decode(DeviceStep), inbound.partition
        if step.kind is K.COMMAND:
            if step.command is not None:
                await self._commands.to_scan(partition, step.command, by_record=True)
        elif step.kind is K.RELINE:
            await self._line_up_again(partition, step)
        elif step.kind is K.EXPIRE:
            await expiry.forget(self._tools, self._requests, self._work, partition, step)
        elif step.kind in (K.CONFIRMED, K.RELEASED):
            key = request_key(step.device_id, step.request_id or "")
            row = self._requests.get(partition, key)
            if row is not None and step.kind is K.CONFIRMED:
                await self._confirmed(partition, row, step)
            elif row is not None and step.state is not None:
                await self._ending.is_over(partition, row, step.state)
        else:
            name: str | None = step.name
            if step.kind is K.NEXT:
                name = self._parking.next(partition, step.device_id)
            parked = self._work.get(partition, step.device_id, name) if name else None
            if name and parked and (step.kind is K.NEXT or parked.version == step.version):
                await self._go_on(partition, step.device_id, name, parked)

    async def _go_on(self, partition: int, device_id: str, name: str, parked: ParkedRow) -> None:
        """Take a job further whose time has come, or whose turn."""
        row = self._requests.get(partition, request_key(device_id, parked.request_id))
        if row is None or name[0] not in decide.rows_of(row, limited=self._limited):
            # It went further before a crash, and that is told again: this row is of the past.
            if row is not None:
                await self._ending.say_again(row)
            await self._parking.remove(partition, device_id, name)
        elif decide.goes_on(row) and parked.waiting:
            await self._starter.resume(partition, row)
        elif parked.waiting and row.stage is not ScanState.HELD:
            await self._parking.started(partition, row)
        elif not parked.waiting:
            await self._ending.lease_is_long(partition, row)

    async def _line_up_again(self, partition: int, step: DeviceStep) -> None:
        """Bring queued jobs into the state that fits now, some at a time: a hold is over."""
        names = self._parking.after(partition, step.device_id, step.name, AT_ONCE)
        for name in names:
            parked = self._work.get(partition, step.device_id, name)
            key = request_key(step.device_id, parked.request_id if parked else "")
            row = self._requests.get(partition, key)
            if row is not None and decide.goes_on(row):
                wait = self._parking.why_wait(partition, row)
                if wait is not None and wait.state is not row.stage:
                    await self._ending.park(partition, row, wait)
        if len(names) == AT_ONCE:
            await self._parking.tell(step.model_copy(update={"name": names[-1]}))

    async def _confirmed(self, partition: int, row: RequestRow, step: DeviceStep) -> None:
        """Settle an UNKNOWN scan: it was started, or it was not and is sent once more.

        Only the attempt that is UNKNOWN counts, so a second confirmation of it changes nothing.
        """
        if row.starts != step.attempt:
            return
        if row.stage is ScanState.READY and not step.started:
            # Redelivered: a worker died when the row was written and the new task not yet sent.
            await self._starter.resume(partition, row, redelivered=True)
            return
        if row.stage is not ScanState.UNKNOWN:
            return
        if step.started:
            await self._ending.end(partition, row, ScanState.STARTED, None)
            return
        # A person sends it now, whatever its age (promise 9).
        now = self._tools.clock.broker_ms()
        ready = {"stage": ScanState.READY, "cause": None, "advice": None, "born_ms": now}
        await self._starter.resume(partition, row.model_copy(update=ready))

    def recovered(self) -> None:
        """Read the open work anew after a recovery, and wake what nothing else would."""
        self._work.rebuild()
        self.wake_parked()

    def wake_parked(self) -> None:
        """Let the next job of each device be tried at once: what it waited for is back."""
        self._parking.wake_all()

    def waiting(self) -> int:
        """Count the jobs that wait for a manager, or behind one that does."""
        return sum(self._parking.waiting_for_manager(*owner) for owner in self._work.owners())

    async def wake(self, due: Due) -> None:
        """Turn a parked job whose time has come into a message of its device."""
        await self._parking.tell(
            DeviceStep(
                kind=DeviceStepKind.DUE, device_id=due.owner, name=due.name, version=due.version
            )
        )
