"""The device's parked jobs: what can't go on now, in the order in which the jobs came.

Only the first of a device is tried; those behind it wait for it, so that a dead device or a manager
that is away costs one attempt in each back-off, however many jobs wait, and STARTs keep their order.
A parked row stays until the job is out of the way (started, failed, held), then the next goes on.
"""

from agents.device.state import RequestRow
from agents.tools import Tools
from models import wire
from models.steps import DeviceStep, DeviceStepKind
from models.work import HELD, PARKED, ParkedRow
from streams.openwork import OpenWork, back_off_ms
from streams.tables import Write


class Parking:
    """Parks jobs and lets them go."""

    def __init__(self, tools: Tools, work: OpenWork[ParkedRow]) -> None:
        self._tools = tools
        self._work = work

    def must_wait(self, partition: int, row: RequestRow) -> bool:
        """Tell whether a job that came before is parked."""
        first = self._work.first(partition, row.job.device_id, PARKED)
        return first is not None and first < PARKED + row.order

    def parked(self, partition: int, row: RequestRow) -> ParkedRow | None:
        """Give a job's parked row, if it has one."""
        return self._work.get(partition, row.job.device_id, PARKED + row.order)

    async def park(
        self, partition: int, row: RequestRow, reason: str, *, fault: bool = False
    ) -> ParkedRow:
        """Park a job, or park it again after one more try in vain; durable when it returns."""
        settings = self._tools.settings
        before = self.parked(partition, row)
        behind = self.must_wait(partition, row)
        tries = 0 if before is None or behind else before.tries + 1
        wait_ms = back_off_ms(tries, settings.retry_first_s, settings.retry_most_s)
        parked = ParkedRow(
            due_ms=None if behind else self._tools.clock.broker_ms() + wait_ms,
            version=0 if before is None else before.version + 1,
            request_id=row.request_id,
            reason=reason,
            tries=tries,
            faults=(0 if before is None else before.faults) + fault if fault else 0,
        )
        await self._put(partition, row, parked)
        return parked

    def line_up(self, partition: int, row: RequestRow, reason: str) -> Write:
        """Park a job that just came behind others; it is in its place at once."""
        parked = ParkedRow(request_id=row.request_id, reason=reason)
        return self._work.put(partition, row.job.device_id, PARKED + row.order, parked)

    async def keep(self, partition: int, row: RequestRow, within_ms: int = 30_000) -> None:
        """Keep a job's parked row while its START is on its way; should that get lost, it wakes."""
        before = self.parked(partition, row)
        if before is not None:
            due_ms = self._tools.clock.broker_ms() + within_ms
            changed = before.model_copy(update={"due_ms": due_ms, "version": before.version + 1})
            await self._put(partition, row, changed)

    async def hold(self, partition: int, row: RequestRow, reason: str) -> None:
        """Keep a job as held: it is seen, and waits for a person. It still is to `leave`."""
        held = ParkedRow(request_id=row.request_id, reason=reason)
        name = HELD + row.order
        await self._work.put(partition, row.job.device_id, name, held).durable()

    async def leave(self, partition: int, row: RequestRow) -> None:
        """Take a job out of the way, and wake the one behind it."""
        await self.remove(partition, row.job.device_id, PARKED + row.order)

    async def remove(self, partition: int, device_id: str, name: str) -> None:
        """Remove a parked row, if it is there, and wake the one behind it."""
        dropped = self._work.drop(partition, device_id, name)
        if dropped is None:
            return
        await dropped.durable()
        if self._work.first(partition, device_id, PARKED) is not None:
            step = DeviceStep(kind=DeviceStepKind.NEXT, device_id=device_id)
            await self._tools.outbox.deliver_step(wire.DEVICE_STEPS, device_id, step.to_bytes())

    def wake_all(self) -> None:
        """Give the first job of each device a due time: after a recovery nothing else would.

        The message that was to wake it may have been handled before the crash, in part.
        """
        now = self._tools.clock.broker_ms()
        for partition, device_id in self._work.owners():
            first = self._work.first(partition, device_id, PARKED)
            row = first and self._work.get(partition, device_id, first)
            if first and row and row.due_ms is None:
                self._work.put(partition, device_id, first, row.model_copy(update={"due_ms": now}))

    async def _put(self, partition: int, row: RequestRow, parked: ParkedRow) -> None:
        name = PARKED + row.order
        await self._work.put(partition, row.job.device_id, name, parked).durable()
