"""Where a job's way ends or pauses: parked, tried again, held, over; and how that is told."""

from collections.abc import Awaitable
from typing import Any

from agents.device import decide
from agents.device.decide import Wait
from agents.device.parking import Parking
from agents.device.saying import announce, lined_up, moved, parked_unique
from agents.device.state import RequestRow, request_key
from agents.tools import Announcement, Tools, changed, record_key
from models import wire
from models.base import canonical
from models.errors import TransientError
from models.events import EventKind, ScanState
from models.steps import RecordStep, RecordStepKind, WorkflowStep, WorkflowStepKind
from models.work import AT_DEVICE, HELD, PARKED
from streams.tables import DurableTable, Write

S = ScanState


class Ending:
    """Writes how far a job came, and tells it: itself, or through the record's aggregate."""

    def __init__(self, tools: Tools, requests: DurableTable[RequestRow], parking: Parking) -> None:
        self._tools = tools
        self._requests = requests
        self._parking = parking

    async def park(self, partition: int, row: RequestRow, wait: Wait) -> None:
        """Let a job wait for its turn; it was not tried."""
        if row.record_id is not None and wait in (decide.BUSY, decide.BEHIND_OTHERS):
            wait = decide.HELD_TURN  # a person released it, and others are before it
        before = row
        if row.record_id is None:
            place = self._parking.place(partition, row) if wait.state is S.QUEUED else None
            row, told = moved(row, wait.state, wait.cause, advice=wait.advice, place=place)
            await announce(self._tools, row, told)
        else:
            stage = {"stage": wait.state, "cause": wait.cause, "advice": wait.advice}
            row = row.model_copy(update=stage)
        await self._parking.park(partition, row, wait.cause, tried=False)
        if row != before:
            await self._write(partition, row).durable()
        if row.record_id is not None and row.stage is not before.stage:
            await self.tell_record(row, row.stage)
        if wait is decide.BEHIND_OTHERS:
            # The one before it may never have been tried: it was lined up while this one held the
            # device, and this one had to give it back (tests/unit/test_device_queue.py).
            await self._parking.wake_next(partition, row.job.device_id)

    async def retry(
        self, partition: int, row: RequestRow, reason: str, error: TransientError | None = None
    ) -> None:
        """Let a job wait after a try in vain.

        One that alone fails, five times, of a manager that is well, ends.
        """
        fault = error is not None and error.at_fault
        before, stage = row, S.WAITING if row.record_id is None else S.READY
        waits = row.model_copy(update={"stage": stage, "cause": reason, "advice": None})
        parked = await self._parking.park(partition, waits, reason, tried=True, fault=fault)
        if parked.faults + 1 >= decide.MOST_FAULTS:
            cause = f"{reason}; {parked.faults + 1} times for this job alone, while the manager was well"
            await self.end(partition, row, S.FAILED, cause)
            return
        if stage is not before.stage and row.record_id is None:
            row, told = moved(row, stage, reason)
            await announce(self._tools, row, told)
        else:
            row = waits
            if parked.tries == 1:
                # Once for each wait, not for each try: no flood while a manager is away.
                retrying = Announcement(
                    event=EventKind.RETRYING,
                    unique=f"{parked_unique(row)}/{row.tasks}",
                    fields={"cause": reason, "state": stage},
                )
                await announce(self._tools, row, [retrying])
        await self._write(partition, row).durable()
        if row.record_id is not None and stage is not before.stage:
            await self.tell_record(row, stage)

    async def hold(
        self, partition: int, row: RequestRow, cause: str, by: str | None = None
    ) -> None:
        """Hold a job: it waits for a person (promise 9 where it is too old to start by itself)."""
        await self._parking.hold(partition, row, cause, by)
        await self.end(partition, row, S.HELD, cause, decide.HELD_ADVICE)

    async def end(
        self,
        partition: int,
        row: RequestRow,
        state: ScanState,
        cause: str | None,
        advice: str | None = None,
    ) -> None:
        """Write how far a job came, announce it, and let the next one go on."""
        before = row
        told: list[Announcement] = []
        if row.record_id is None:
            row, told = moved(row, state, cause, advice=advice)
        else:
            row = row.model_copy(update={"stage": state, "cause": cause, "advice": advice})
        if state is before.stage and cause == decide.TOO_OLD:
            told = [_still(row)]
        await self._write(partition, row).durable()
        await announce(self._tools, row, told)
        if row.record_id is not None:
            await self.tell_record(row, state)
        else:
            await self._tell_workflow(row)
        if state in (S.STARTED, S.UNKNOWN):
            await self._parking.started(partition, row)
            return
        if state is not S.HELD:
            await self._parking.unhold(partition, row)
        await self._parking.leave(partition, row)

    async def say_again(self, row: RequestRow) -> None:
        """Say how far a job came: its worker may have died before that was out. The same ids."""
        if row.record_id is not None:
            await self.tell_record(row, row.stage)
            return
        last = row.model_copy(update={"moves": max(0, row.moves - 1)})
        again = changed(
            row.stage, S.ACCEPTED, parked_unique(last), cause=row.cause, advice=row.advice
        )
        await announce(self._tools, row, [again])
        await self._tell_workflow(row)

    async def say_lined_up(self, partition: int, row: RequestRow) -> None:
        """Say again that a job was parked as it came, where nothing else has happened to it."""
        queued = row.stage in (S.WAITING, S.QUEUED) or decide.held_with_device(row)
        if row.attempt == 1 and row.moves == 1 and queued and row.cause is not None:
            wait = Wait(row.stage, row.cause, row.advice)
            came = row.model_copy(update={"stage": S.ACCEPTED, "moves": 0})
            _, told = lined_up(came, wait, self._parking.place(partition, row))
            await announce(self._tools, row, told[1:])

    async def tell_record(
        self, row: RequestRow, state: ScanState, *, previous: ScanState | None = None
    ) -> None:
        """Tell the record's aggregate how far the scan is; it announces that.

        `previous`: what was announced of the job before it had a record.
        """
        await self._tools.outbox.confirm(await self.put_step(row, state, previous=previous))

    async def put_step(
        self, row: RequestRow, state: ScanState, *, previous: ScanState | None = None
    ) -> Awaitable[Any]:
        """Put what `tell_record` tells into its batch; gives what `confirm` waits for."""
        own = state is row.stage
        scan = row.identity
        step = RecordStep(
            kind=RecordStepKind.SCAN,
            record_id=scan.record_id,
            scan=scan,
            state=state,
            previous=previous,
            cause=row.cause if own else None,
            advice=row.advice if own else None,
            attempt=row.starts,
            born_ms=row.born_ms,
            creations=row.attempt,
        )
        key = record_key(scan.record_id).encode()
        return await self._tools.outbox.put(wire.RECORD_STEPS, key, step.to_bytes())

    async def _tell_workflow(self, row: RequestRow) -> None:
        """Tell a workflow that its scan ended before it had a record; later its record tells."""
        job = row.job
        if not row.stage.final or job.workflow_id is None or job.task_id is None:
            return
        step = WorkflowStep(
            kind=WorkflowStepKind.SCAN,
            workflow_id=job.workflow_id,
            task_id=job.task_id,
            request_id=row.request_id,
            state=row.stage,
            cause=row.cause,
        )
        owner = canonical(job.workflow_id)
        await self._tools.outbox.deliver_step(wire.WORKFLOW_STEPS, owner, step.to_bytes())

    async def is_over(self, partition: int, row: RequestRow, state: ScanState) -> None:
        """Take the record's word that the scan is over at the device: the next one may go on.

        One that came to its end without a START is never started any more.
        """
        stage = None
        if state.final and not row.stage.final and row.stage is not S.STARTED:
            stage = state
        elif row.stage is S.READY:
            stage = S.STARTED  # the device reads its orders itself
        if stage is not None:
            over = row.model_copy(update={"stage": stage, "cause": None, "advice": None})
            await self._write(partition, over).durable()
        names = [prefix + row.order for prefix in (AT_DEVICE, PARKED, HELD)]
        await self._parking.remove(partition, row.job.device_id, *names)

    async def lease_is_long(self, partition: int, row: RequestRow) -> None:
        """Announce that a scan holds its device for too long; only a person, or its end, frees it."""
        parked = self._parking.get(partition, row, AT_DEVICE)
        if parked is None:
            return
        waiting = self._parking.waiting(partition, row.job.device_id)
        long = Announcement(
            event=EventKind.OVERDUE,
            unique=f"lease/{row.job.device_id}/{row.starts}/{parked.overdue}",
            fields={
                "state": row.stage,
                "cause": f"it holds its device for {(parked.overdue + 1) * self._lease_s():g} s",
                "advice": decide.LEASE_ADVICE,
                "count": waiting,
            },
        )
        await announce(self._tools, row, [long])
        await self._parking.still_held(partition, row, parked)

    def _lease_s(self) -> float:
        return self._tools.settings.lease_s

    def _write(self, partition: int, row: RequestRow) -> Write:
        return self._requests.put(partition, request_key(row.job.device_id, row.request_id), row)


def _still(row: RequestRow) -> Announcement:
    """Announce that a job which is held already is held for another reason now."""
    return Announcement(
        event=EventKind.OVERDUE,
        unique=f"{row.cause}/{parked_unique(row)}",
        fields={"state": row.stage, "cause": row.cause, "advice": row.advice},
    )
