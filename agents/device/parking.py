"""The device's queue: jobs that wait for it, jobs that hold it, and jobs that a person holds.

Only the first that waits is tried; those behind it wait for it, so that a dead device or a manager that
is away costs one attempt in each back-off, however many jobs wait, and STARTs keep their order. With a
limit of scans (SCANHUB_SCANS_PER_DEVICE) a job takes the device before its record is made, and holds it
until its scan is ACQUIRED or at an end. Rows and their names: models/work.py.
"""

from typing import Any, Final

from agents.device import decide
from agents.device.decide import Wait
from agents.device.state import RequestRow
from agents.tools import Tools
from models import wire
from models.events import ScanState
from models.scan import ScanCommand
from models.steps import DeviceStep, DeviceStepKind
from models.work import AT_DEVICE, HELD, ON_HOLD, PARKED, ParkedRow
from streams.openwork import OpenWork, back_off_ms
from streams.tables import Write

LOST_MS: Final = 30_000
"""After so long a job that was sent on its way is looked at again, should its message have got lost."""
PLACES: Final = 10
"""So many jobs of a queue are told when their place changes."""


class Parking:
    """Parks jobs and lets them go; knows who holds the device."""

    def __init__(self, tools: Tools, work: OpenWork[ParkedRow]) -> None:
        self._tools = tools
        self._work = work
        self._limit = tools.settings.scans_per_device

    # What stands.

    def hold_of(self, partition: int, device_id: str) -> ParkedRow | None:
        """Give the hold that a person put on a device, if there is one."""
        return self._work.get(partition, device_id, ON_HOLD)

    def get(self, partition: int, row: RequestRow, prefix: str) -> ParkedRow | None:
        """Give a job's row of a kind, if it has one."""
        return self._work.get(partition, row.job.device_id, prefix + row.order)

    def waiting(self, partition: int, device_id: str) -> int:
        """Count the jobs that wait for a device."""
        return self._work.count(partition, device_id, PARKED)

    def waiting_for_manager(self, partition: int, device_id: str) -> int:
        """Count the jobs that wait for a manager, or behind one that does; not for a busy device."""
        first = self._work.first(partition, device_id, PARKED)
        row = first and self._work.get(partition, device_id, first)
        waits = row and row.state is ScanState.WAITING
        return self.waiting(partition, device_id) if waits else 0

    def place(self, partition: int, row: RequestRow) -> int:
        """Give the place that a job has, or would have, in its device's queue: 1 is the next."""
        return self._work.place(partition, row.job.device_id, PARKED + row.order)

    def places(self, partition: int, device_id: str) -> list[str]:
        """Give the names of those first in the queue, one more than are told of their place."""
        if self._limit == 0:
            return []
        return self._work.names(partition, device_id, PARKED, most=PLACES + 1)

    def why_wait(self, partition: int, row: RequestRow) -> Wait | None:
        """Say why a job can't go on towards its device now; None if it can."""
        device_id = row.job.device_id
        if self.hold_of(partition, device_id) is not None:
            return decide.DEVICE_HELD
        mine = AT_DEVICE + row.order
        holders = self._work.names(partition, device_id, AT_DEVICE)
        if row.stage is ScanState.READY:
            before = (name for name in holders if name < mine)
            return decide.BEHIND_READY if self._any_waits(partition, device_id, before) else None
        if self._limit and len(holders) - (mine in holders) >= self._limit:
            return decide.BUSY
        first = self._work.first(partition, device_id, PARKED)
        behind = first is not None and first < PARKED + row.order
        return decide.BEHIND_OTHERS if behind or (holders and not self._limit) else None

    def is_free(self, partition: int, row: RequestRow) -> bool:
        """Tell whether nothing waits for a job's device or holds it; with a limit of scans it does."""
        return not self._work.count(partition, row.job.device_id)

    def next(self, partition: int, device_id: str) -> str | None:
        """Give the name of the row that is to go on: a READY one first, else the queue's head."""
        if self.hold_of(partition, device_id) is not None:
            return None
        holders = self._work.names(partition, device_id, AT_DEVICE)
        for name in holders:
            if self._any_waits(partition, device_id, [name]):
                return name
        if self._limit and len(holders) >= self._limit:
            return None
        return self._work.first(partition, device_id, PARKED)

    def _any_waits(self, partition: int, device_id: str, names: Any) -> bool:
        rows = (self._work.get(partition, device_id, name) for name in names)
        return any(row is not None and row.waiting for row in rows)

    # What changes.

    async def park(
        self, partition: int, row: RequestRow, reason: str, *, tried: bool, fault: bool = False
    ) -> ParkedRow:
        """Park a job in its stage, or park it again after one more try in vain; durable on return.

        `tried`: it is the first, and was tried just now; it goes on by itself after its back-off.
        """
        tools, settings = self._tools, self._tools.settings
        prefix = AT_DEVICE if row.stage is ScanState.READY else PARKED
        before = self.get(partition, row, prefix)
        # One that had another kind of row was tried on another way: its tries count anew.
        tries = 0 if before is None or not tried else before.tries + 1
        now, due_ms = tools.clock.broker_ms(), decide.expiry_ms(row, settings.start_max_age_s)
        if tried:
            due_ms = now + back_off_ms(tries, settings.retry_first_s, settings.retry_most_s)
        elif due_ms is not None and due_ms <= now:
            due_ms = None  # too old while a manager is away: it is held when its turn comes
        faults = 0 if before is None else before.faults
        parked = self._row(row, before, reason).model_copy(
            update={"due_ms": due_ms, "tries": tries, "faults": faults + 1 if fault else 0}
        )
        await self._put(partition, row, prefix, parked).durable()
        await self._drop(partition, row, PARKED if prefix == AT_DEVICE else AT_DEVICE)
        return parked

    def line_up(self, partition: int, row: RequestRow, reason: str) -> Write:
        """Park a job that just came behind others; it is in its place at once."""
        parked = self._row(row, None, reason)
        due = {"due_ms": decide.expiry_ms(row, self._tools.settings.start_max_age_s)}
        return self._put(partition, row, PARKED, parked.model_copy(update=due))

    def take(self, partition: int, row: RequestRow) -> Write | None:
        """Let a job that goes on hold its device; durable before its record is made.

        A crash in between finds it holding the device, in its old stage, and takes it further.
        """
        before = self.get(partition, row, AT_DEVICE)
        if not self._limit or before is not None:
            return None
        return self._put(partition, row, AT_DEVICE, self._on_its_way(row, before))

    async def keep(self, partition: int, row: RequestRow) -> None:
        """Keep a READY job's place while its START is on its way; should that get lost, it wakes."""
        before = self.get(partition, row, AT_DEVICE)
        parked = self.get(partition, row, PARKED)
        if self._limit or before is not None or parked is not None:
            kept = self._on_its_way(row, before or parked)
            await self._put(partition, row, AT_DEVICE, kept).durable()

    async def took_device(self, partition: int, row: RequestRow) -> None:
        """Drop a job's place in the queue, as it holds the device; those behind are QUEUED now."""
        await self._drop(partition, row, PARKED)
        device_id = row.job.device_id
        first = self._work.first(partition, device_id, PARKED)
        behind = first and self._limit and self._work.get(partition, device_id, first)
        if behind and behind.state is ScanState.WAITING:
            await self.tell(DeviceStep(kind=DeviceStepKind.RELINE, device_id=device_id))

    async def hold(self, partition: int, row: RequestRow, reason: str, by: str | None) -> None:
        """Keep a job as held: it is seen, and waits for a person. It still is to `leave`."""
        held = self._row(row, None, reason).model_copy(update={"by": by, "state": ScanState.HELD})
        await self._put(partition, row, HELD, held).durable()

    async def unhold(self, partition: int, row: RequestRow) -> None:
        """Forget that a person held a job."""
        await self._drop(partition, row, HELD)

    async def started(self, partition: int, row: RequestRow) -> None:
        """Let a job's scan hold the device until it is over; wake the next one if there is room."""
        before = self.get(partition, row, AT_DEVICE)
        if not self._limit:
            if not await self.leave(partition, row):
                # Without a gateway its place in the queue went before, and woke nobody.
                await self.wake_next(partition, row.job.device_id)
            return
        if before is not None:  # else it was over before its START was answered
            due_ms = self._tools.clock.broker_ms() + int(self._tools.settings.lease_s * 1000)
            held = self._row(row, before, row.cause or "").model_copy(
                update={"waiting": False, "due_ms": due_ms, "tries": 0}
            )
            await self._put(partition, row, AT_DEVICE, held).durable()
        await self.wake_next(partition, row.job.device_id)

    async def settled(self, partition: int, row: RequestRow) -> None:
        """Let a job that went further before a crash hold its device, or leave it."""
        if self._limit and not row.stage.final and row.stage is not ScanState.HELD:
            await self.started(partition, row)
        elif not decide.goes_on(row):
            await self.leave(partition, row)

    async def still_held(self, partition: int, row: RequestRow, parked: ParkedRow) -> None:
        """Note that it was announced that a scan holds its device for too long."""
        due_ms = self._tools.clock.broker_ms() + int(self._tools.settings.lease_s * 1000)
        later = {"due_ms": due_ms, "version": parked.version + 1, "overdue": parked.overdue + 1}
        await self._put(
            partition, row, AT_DEVICE, parked.model_copy(update={**later, "waiting": False})
        ).durable()

    async def leave(self, partition: int, row: RequestRow) -> bool:
        """Take a job out of the way, and wake the one behind it; tell whether it was in the way."""
        names = [prefix + row.order for prefix in (AT_DEVICE, PARKED)]
        return await self.remove(partition, row.job.device_id, *names)

    async def remove(self, partition: int, device_id: str, *names: str) -> bool:
        """Remove rows, and wake the one behind them; tell whether any was there."""
        dropped = [self._work.drop(partition, device_id, name) for name in names]
        for write in dropped:
            if write is not None:
                await write.durable()
        if any(dropped):
            await self.wake_next(partition, device_id)
        return any(dropped)

    async def wake_next(self, partition: int, device_id: str) -> None:
        """Tell the device's aggregate that the next job may go on, if one waits and may."""
        if self.next(partition, device_id) is not None:
            await self.tell(DeviceStep(kind=DeviceStepKind.NEXT, device_id=device_id))

    async def tell(self, step: DeviceStep) -> None:
        """Send the device's aggregate a step."""
        await self._tools.outbox.deliver_step(wire.DEVICE_STEPS, step.device_id, step.to_bytes())

    async def hold_device(self, partition: int, command: ScanCommand) -> None:
        """Put a device on hold: nothing is started on it until a person releases it."""
        now = self._tools.clock.broker_ms()
        hold = ParkedRow(reason="on hold", by=command.by, since_ms=now)
        await self._work.put(partition, command.device_id, ON_HOLD, hold).durable()

    async def release_device(self, partition: int, device_id: str) -> None:
        """End a device's hold; those that are HELD with it line up again."""
        dropped = self._work.drop(partition, device_id, ON_HOLD)
        if dropped is not None:
            await dropped.durable()
        await self.wake_next(partition, device_id)
        if self.waiting(partition, device_id):
            await self.tell(DeviceStep(kind=DeviceStepKind.RELINE, device_id=device_id))

    def after(self, partition: int, device_id: str, name: str, most: int) -> list[str]:
        """Give the names in a queue that come after one, at most so many."""
        return self._work.names(partition, device_id, PARKED, after=name, most=most)

    def wake_all(self) -> None:
        """Give the next job of each device a due time of now: after a recovery nothing else would.

        The message that was to wake it may have been handled before the crash, in part.
        """
        now = self._tools.clock.broker_ms()
        for partition, device_id in self._work.owners():
            name = self.next(partition, device_id)
            row = name and self._work.get(partition, device_id, name)
            if name and row:
                changed = {"due_ms": now, "version": row.version + 1}
                self._work.put(partition, device_id, name, row.model_copy(update=changed))

    def _on_its_way(self, row: RequestRow, before: ParkedRow | None) -> ParkedRow:
        due_ms = self._tools.clock.broker_ms() + LOST_MS
        tries = {} if before is None else {"tries": before.tries}
        kept = self._row(row, before, "on its way")
        return kept.model_copy(update={"due_ms": due_ms, "waiting": True, **tries})

    def _row(self, row: RequestRow, before: ParkedRow | None, reason: str) -> ParkedRow:
        same = before is not None and before.state is row.stage
        return ParkedRow(
            version=0 if before is None else before.version + 1,
            request_id=row.request_id,
            reason=reason,
            state=row.stage,
            since_ms=before.since_ms if same and before else self._tools.clock.broker_ms(),
            record_id=row.record_id,
            job_id=row.job.job_id,
        )

    def _put(self, partition: int, row: RequestRow, prefix: str, parked: ParkedRow) -> Write:
        return self._work.put(partition, row.job.device_id, prefix + row.order, parked)

    async def _drop(self, partition: int, row: RequestRow, prefix: str) -> None:
        dropped = self._work.drop(partition, row.job.device_id, prefix + row.order)
        if dropped is not None:
            await dropped.durable()
