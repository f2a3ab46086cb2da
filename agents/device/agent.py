"""The device's agent: one stream of all topics that are keyed by device, one at a time for each."""

from agents.device.parking import Parking
from agents.device.post_device_task import TaskPoster
from agents.device.start_scan import ScanStarter
from agents.device.state import PARKED, ParkedRow, RequestRow, request_key
from agents.tools import Announcement, Tools
from models import wire
from models.events import EventKind, ScanState
from models.scan import ScanCommand
from models.steps import DeviceStep, DeviceStepKind
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

    async def handle(self, inbound: Inbound) -> None:
        """Settle one message."""
        await self._tools.settle(
            inbound,
            self._handlers[inbound.topic],
            bugs_are_fatal=inbound.topic == wire.DEVICE_TASKS,
        )

    async def step(self, inbound: Inbound) -> None:
        """Take a parked job further: its time has come, or the one before it is out of the way."""
        step = inbound.decode(DeviceStep)
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

    async def answer_command(self, inbound: Inbound) -> None:
        """Answer a command to a scan or a device: none is carried out yet, and that is said."""
        command = inbound.decode(ScanCommand)
        if not is_in_place(inbound, command.device_id, self._tools.partitions):
            await reroute(inbound, command.device_id, self._tools.partitions, self._tools.outbox)
            return
        answer = Announcement(
            event=EventKind.COMMAND_ANSWERED,
            unique=command.command_id,
            fields={
                "cause": f"{command.command} is not supported yet: nothing was done",
                "advice": "This is no emergency stop; the scanner's own button is.",
                "record_id": command.record_id,
                "device_id": command.device_id,
            },
        )
        await self._tools.announce([answer], key=command.device_id)

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
