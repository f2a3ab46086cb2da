"""Commands to a scan that was not started, and to a device: each is answered once, and done once.

The answer is announced before anything is done: a worker that dies in between does both again, under
the same ids. What a started scan is told is decided by its record's aggregate.
"""

from agents.device import decide, deeds
from agents.device.ending import Ending
from agents.device.parking import Parking
from agents.device.saying import announce
from agents.device.start_scan import ScanStarter
from agents.device.state import RequestRow, request_key
from agents.tools import Announcement, Tools, record_key
from models import wire
from models.base import RecordId
from models.events import EventKind, ScanState
from models.scan import ScanCommand
from models.steps import RecordStep, RecordStepKind
from streams.inbound import Inbound
from streams.intake import is_in_place, reroute
from streams.tables import DurableTable

S = ScanState


class Commands:
    """Carries out commands."""

    def __init__(
        self,
        tools: Tools,
        requests: DurableTable[RequestRow],
        parking: Parking,
        ending: Ending,
        starter: ScanStarter,
    ) -> None:
        self._tools = tools
        self._requests = requests
        self._parking = parking
        self._ending = ending
        self._starter = starter

    async def answer_command(self, inbound: Inbound) -> None:
        """Take a command to a scan or a device. Raises PoisonError for what is no ScanCommand."""
        command = inbound.decode(ScanCommand)
        if not is_in_place(inbound, command.device_id, self._tools.partitions):
            await reroute(inbound, command.device_id, self._tools.partitions, self._tools.outbox)
        elif command.scan_request_id is None and command.record_id is None:
            await self._to_device(inbound.partition, command)
        elif command.scan_request_id is None and command.record_id is not None:
            await self._pass_on(command.record_id, command)
        else:
            await self.to_scan(inbound.partition, command)

    async def to_scan(
        self, partition: int, command: ScanCommand, *, by_record: bool = False
    ) -> None:
        """Carry out a command to a scan that is named by its request.

        One that has begun is its record's, unless the record itself passed the command on.
        """
        key = request_key(command.device_id, command.scan_request_id or "")
        row = self._requests.get(partition, key)
        if row is None:
            if command.record_id is not None and not by_record:
                await self._pass_on(command.record_id, command)
                return
            deed = deeds.Deed(
                f"no such request is known on this device: nothing was done{deeds.asked(command)}"
            )
            await self._answer(command, deed, None)
            return
        if deeds.is_begun(row, gateway=self._tools.settings.gateway):
            if by_record or row.record_id is None:
                await self._answer(command, deeds.too_late(command), row)
            else:
                await self._pass_on(row.record_id, command)
            return
        deed = deeds.to_job(row, command)
        await self._answer(command, deed, row)
        if row.stage.final:
            await self._ending.say_again(row)
        elif deed.goal is S.CANCELLED:
            cause = f"cancelled by a person{deeds.asked(command)}"
            await self._ending.end(partition, row, S.CANCELLED, cause)
        elif deed.goal is S.HELD:
            cause = f"held by a person{deeds.asked(command)}"
            await self._ending.hold(partition, row, cause, command.by)
        elif deed.goal is S.ACCEPTED:
            await self._release(partition, row)

    async def _release(self, partition: int, row: RequestRow) -> None:
        """Let a held job go on, whatever its age: a person sends it now (promise 9)."""
        now = self._tools.clock.broker_ms()
        free = {"cause": decide.HELD_TURN.cause, "advice": None, "born_ms": now}
        await self._parking.unhold(partition, row)
        await self._starter.resume(partition, row.model_copy(update=free))

    async def _to_device(self, partition: int, command: ScanCommand) -> None:
        device_id, parking = command.device_id, self._parking
        on_hold = parking.hold_of(partition, device_id) is not None
        waiting = parking.waiting(partition, device_id)
        deed = deeds.to_device(command, on_hold=on_hold, waiting=waiting)
        await self._answer(command, deed, None)
        if deed.goal is S.HELD:
            await parking.hold_device(partition, command)
        elif deed.goal is S.ACCEPTED:
            await parking.release_device(partition, device_id)

    async def _pass_on(self, record_id: RecordId, command: ScanCommand) -> None:
        """Hand a command to its scan's record, which knows what the scanner said meanwhile."""
        step = RecordStep(kind=RecordStepKind.COMMAND, record_id=record_id, command=command)
        owner = record_key(record_id)
        await self._tools.outbox.deliver_step(wire.RECORD_STEPS, owner, step.to_bytes())

    async def _answer(self, command: ScanCommand, deed: deeds.Deed, row: RequestRow | None) -> None:
        stage = None if row is None else row.stage
        answer = Announcement(
            event=EventKind.COMMAND_ANSWERED,
            unique=command.command_id,
            fields={
                "cause": deed.answer,
                "advice": deed.advice,
                "command_id": command.command_id,
                "state": stage if row is None or deed.goal is None else deed.goal,
            },
        )
        if row is None:
            await self._tools.announce(
                [answer],
                key=command.device_id,
                device_id=command.device_id,
                request_id=command.scan_request_id,
            )
        else:
            await announce(self._tools, row, [answer])
