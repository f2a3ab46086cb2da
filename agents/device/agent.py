"""The device's agent: one stream of all topics that are keyed by device, one at a time for each."""

from collections.abc import Awaitable
from typing import Any

from agents.device.parking import Parking
from agents.device.post_device_task import TaskPoster
from agents.device.start_scan import ScanStarter
from agents.device.state import RequestRow, request_key
from agents.tools import Announcement, Tools, record_key
from models import wire
from models.events import EventKind, ScanState
from models.scan import ScanCommand, ScanCommandKind
from models.steps import DeviceStep, DeviceStepKind, RecordStep, RecordStepKind
from models.work import PARKED, ParkedRow
from streams.inbound import Inbound
from streams.intake import is_in_place, reroute
from streams.openwork import Due, OpenWork
from streams.tables import DurableTable

TOPICS = (wire.SCAN_JOBS, wire.SCAN_COMMANDS, wire.DEVICE_TASKS, wire.DEVICE_STEPS)


class DeviceAgent:
    """Routes a device's messages to what decides them."""

    def __init__(
        self, tools: Tools, requests: DurableTable[RequestRow], work: OpenWork[ParkedRow]
    ) -> None:
        self._tools = tools
        self._requests = requests
        self._work = work
        self._parking = Parking(tools, work)
        self._starter = ScanStarter(tools, requests, self._parking)
        self._poster = TaskPoster(tools, requests, self._parking, self._starter)
        self._handlers = {
            wire.SCAN_JOBS: self._starter.start_scan,
            wire.SCAN_COMMANDS: self.answer_command,
            wire.DEVICE_TASKS: self._poster.post_device_task,
            wire.DEVICE_STEPS: self.step,
        }

    async def handle(self, inbound: Inbound) -> Awaitable[Any] | None:
        """Settle one message; gives what is still to be awaited."""
        return await self._tools.settle(
            inbound,
            self._handlers[inbound.topic],
            bugs_are_fatal=inbound.topic == wire.DEVICE_TASKS,
        )

    async def step(self, inbound: Inbound) -> None:
        """Take a parked job further: its time has come, or the one before it is out of the way."""
        step = inbound.decode(DeviceStep)
        if step.kind is DeviceStepKind.CONFIRMED:
            await self._confirmed(inbound.partition, step)
            return
        name = step.name
        if step.kind is DeviceStepKind.NEXT:
            name = self._work.first(inbound.partition, step.device_id, PARKED) or ""
        parked = self._work.get(inbound.partition, step.device_id, name) if name else None
        if parked is None:
            return
        if step.kind is DeviceStepKind.DUE and parked.version != step.version:
            return
        key = request_key(step.device_id, parked.request_id)
        row = self._requests.get(inbound.partition, key)
        if row is not None:
            await self._starter.resume(inbound.partition, row)
        if row is None or row.stage not in (ScanState.WAITING, ScanState.READY, ScanState.ACCEPTED):
            # It went further before a crash, and was told again just now: it waits for nothing more.
            await self._parking.remove(inbound.partition, step.device_id, name)

    async def _confirmed(self, partition: int, step: DeviceStep) -> None:
        """Settle an UNKNOWN scan: it was started, or it was not and is sent once more.

        Only the attempt that is UNKNOWN counts, so a second confirmation of it changes nothing.
        """
        key = request_key(step.device_id, step.request_id or "")
        row = self._requests.get(partition, key)
        if row is None or row.starts != step.attempt:
            return
        if row.stage is ScanState.READY and not step.started:
            # Redelivered: a worker died when the row was written and the new task not yet sent.
            await self._starter.resume(partition, row, redelivered=True)
            return
        if row.stage is not ScanState.UNKNOWN:
            return
        if step.started:
            await self._starter.end(partition, row, ScanState.STARTED, None)
            return
        # A person sends it now, whatever its age (promise 9).
        now = self._tools.clock.broker_ms()
        ready = {"stage": ScanState.READY, "cause": None, "advice": None, "born_ms": now}
        await self._starter.resume(partition, row.model_copy(update=ready))

    async def answer_command(self, inbound: Inbound) -> None:
        """Take a command to a scan or a device; what is not carried out is answered so."""
        command = inbound.decode(ScanCommand)
        if not is_in_place(inbound, command.device_id, self._tools.partitions):
            await reroute(inbound, command.device_id, self._tools.partitions, self._tools.outbox)
            return
        if command.command is ScanCommandKind.CONFIRM and await self._pass_on(inbound, command):
            return
        answer = Announcement(
            event=EventKind.COMMAND_ANSWERED,
            unique=command.command_id,
            fields={
                "cause": f"{command.command} is not supported here: nothing was done",
                "advice": "This is no emergency stop; the scanner's own button is.",
                "record_id": command.record_id,
                "device_id": command.device_id,
            },
        )
        await self._tools.announce([answer], key=command.device_id)

    async def _pass_on(self, inbound: Inbound, command: ScanCommand) -> bool:
        """Hand a command to its scan's record, which knows what the scanner said meanwhile."""
        record_id = command.record_id
        if record_id is None and command.scan_request_id is not None:
            key = request_key(command.device_id, command.scan_request_id)
            row = self._requests.get(inbound.partition, key)
            record_id = None if row is None else row.record_id
        if record_id is None:
            return False
        step = RecordStep(kind=RecordStepKind.COMMAND, record_id=record_id, command=command)
        owner = record_key(record_id)
        await self._tools.outbox.deliver_step(wire.RECORD_STEPS, owner, step.to_bytes())
        return True

    def recovered(self) -> None:
        """Read the open work anew after a recovery, and wake what nothing else would."""
        self._work.rebuild()
        self._parking.wake_all()

    async def wake(self, due: Due) -> None:
        """Turn a parked job whose time has come into a message of its device."""
        step = DeviceStep(
            kind=DeviceStepKind.DUE, device_id=due.owner, name=due.name, version=due.version
        )
        await self._tools.outbox.deliver_step(wire.DEVICE_STEPS, due.owner, step.to_bytes())
