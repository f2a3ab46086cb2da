"""From a scan job to a DeviceTask: accept, enrich, make the record, send (design: way of a scan job)."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from agents.device import decide
from agents.device.decide import Arrival
from agents.device.health import Health
from agents.device.parking import Parking
from agents.device.saying import BEHIND, accepted, lined_up, parked_unique, task_id
from agents.device.state import RequestRow, request_key
from agents.tools import Announcement, Tools, changed, record_key
from managers import Sequence
from models import wire
from models.errors import PermanentError, PoisonError, TransientError
from models.events import EventKind, ScanState
from models.managers import Record
from models.scan import ScanJob
from models.steps import RecordStep, RecordStepKind
from models.wire import Cause
from streams.inbound import Inbound
from streams.intake import is_in_place, reroute
from streams.outbox import standard_headers
from streams.tables import DurableTable, Write


class ScanStarter:
    """Takes scan jobs as far as their DeviceTask."""

    def __init__(self, tools: Tools, requests: DurableTable[RequestRow], parking: Parking) -> None:
        self._tools = tools
        self._requests = requests
        self._parking = parking
        self._health = Health(tools.clock.monotonic)

    async def start_scan(self, inbound: Inbound) -> Awaitable[Any] | None:
        """Accept a scan job and take it as far as it goes now; gives what is still to be awaited.

        Raises PoisonError for what is no ScanJob, or takes a request id that another job has.
        """
        job = inbound.decode(ScanJob)
        if not is_in_place(inbound, job.device_id, self._tools.partitions):
            await reroute(inbound, job.device_id, self._tools.partitions, self._tools.outbox)
            return None
        key = request_key(job.device_id, inbound.request_id)
        row = self._requests.get(inbound.partition, key)
        kind = decide.arrival(row, inbound.origin, decide.body_hash(inbound))
        if row is None:
            return await self._begin(inbound.partition, decide.accept(inbound, job))
        if kind is Arrival.AGAIN:
            if row.stage is ScanState.WAITING and row.attempt == 1:
                # Lined up, and the worker died before it was announced, maybe.
                await self._announce(row, lined_up(row))
            await self.resume(inbound.partition, row, redelivered=True)
        elif kind is Arrival.REPEATED:
            told = {
                "state": row.stage,
                "record_id": row.record_id,
                "cause": row.cause,
                "advice": row.advice,
            }
            repeat = Announcement(event=EventKind.REPEATED, unique=inbound.here, fields=told)
            await self._announce(row, [repeat])
        else:
            raise PoisonError("this request id belongs to another job", Cause.INVALID)
        return None

    async def resume(self, partition: int, row: RequestRow, *, redelivered: bool = False) -> None:
        """Take a known job further, from its stage: after a crash, or when its wait is over.

        What was sent before is sent again with the same ids; nobody is told twice for good.
        """
        if row.stage in (ScanState.ACCEPTED, ScanState.WAITING, ScanState.QUEUED):
            if self._parking.must_wait(partition, row):
                await self.park(partition, row, BEHIND)
            else:
                await self.advance(partition, row.model_copy(update={"attempt": row.attempt + 1}))
        elif row.stage is ScanState.READY and self._parking.must_wait(partition, row):
            await self.park(partition, row, BEHIND)
        elif row.stage is ScanState.READY:
            # The task that may be on its way keeps its id and its place before later jobs' tasks;
            # a new one would make it stale, and a later job would start first.
            await self.advance(partition, row, same_task=redelivered and row.tasks > 0)
        elif row.record_id is None:
            await self._announce(row, [self._end(row, ScanState.ACCEPTED)])
        else:
            await self.tell_record(row, row.stage)

    async def _begin(self, partition: int, row: RequestRow) -> Awaitable[Any] | None:
        settings = self._tools.settings
        problem = decide.refuse(row.job, records=settings.records, dialect=settings.device_dialect)
        if problem is None and self._parking.must_wait(partition, row):
            return self._line_up(partition, row)
        announced = self._announce(row, [accepted(row)])
        if problem is None:
            # Side by side: the event goes into its batch first, and nobody waits for it.
            written = self._write(partition, row)
            await asyncio.gather(announced, self.advance(partition, row, written))
        else:
            await announced
            await self.end(partition, row, ScanState.FAILED, problem)
        return None

    def _line_up(self, partition: int, row: RequestRow) -> Awaitable[Any]:
        """Park a new job behind others of its device: all at once, as thousands may come so.

        The device's next message sees the rows and need not wait for the broker. Should the worker
        die before the events are out, the job comes again, and they are sent then.
        """
        row = row.model_copy(update={"stage": ScanState.WAITING, "cause": BEHIND})
        parked = self._parking.line_up(partition, row, BEHIND)
        written = self._write(partition, row)
        announced = self._announce(row, lined_up(row))
        return asyncio.gather(announced, parked.durable(), written.durable())

    async def advance(
        self,
        partition: int,
        row: RequestRow,
        accepted: Write | None = None,
        *,
        same_task: bool = False,
    ) -> None:
        """Enrich a job, make its record and send its DeviceTask; park it where that can't be now.

        `accepted` is the acceptance row's write of a fresh job: only then may a record be made
        without looking first. A row read from the table may be of a worker that died in between.
        """
        tools, settings = self._tools, self._tools.settings
        if decide.too_old(row.born_ms, tools.clock.broker_ms(), settings.start_max_age_s):
            await self.hold(partition, row)
            return
        try:
            sequence = await self._enrich(row, accepted or self._write(partition, row))
            if row.record_id is None:
                record = await self._find_or_make(row, fresh=accepted is not None)
                row = row.model_copy(update={"record_id": record.id})
        except TransientError as error:
            await self.park(partition, row, str(error), error)
            return
        except PermanentError as error:
            await self.end(partition, row, ScanState.FAILED, str(error))
            return
        tasks = row.tasks if same_task else row.tasks + 1
        await self._send_task(partition, row.model_copy(update={"tasks": tasks}), sequence)

    async def _enrich(self, row: RequestRow, accepted: Write) -> Sequence:
        managers = self._tools.managers
        subject, job = row.request_id, row.job
        outcomes = await asyncio.gather(
            self._health.ask(
                managers.sequences,
                subject,
                managers.sequences.retrieve_sequence(job.sequence_id),
            ),
            self._health.ask(
                managers.devices, subject, managers.devices.device_location_request(job.device_id)
            ),
            accepted.durable(),
            return_exceptions=True,
        )
        # All three have ended; a final answer counts more than one that may change.
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for error in sorted(errors, key=lambda e: isinstance(e, TransientError)):
            raise error
        sequence = outcomes[0]
        assert isinstance(sequence, Sequence)  # noqa: S101 - for the type; errors were raised above
        return sequence

    async def _find_or_make(self, row: RequestRow, *, fresh: bool) -> Record:
        """Make the record; if it may have been begun before, look for it first and adopt it."""
        exams = self._tools.managers.exams
        if not fresh:
            self._tools.go_on()
            listed = self._health.ask(exams, row.request_id, exams.list_records(row.job.job_id))
            found = decide.pick_record(await listed, row)
            if found is not None:
                adopted = Announcement(
                    event=EventKind.ADOPTED,
                    unique=record_key(found.id),
                    fields={"record_id": found.id, "attempt": row.attempt},
                )
                await self._announce(row, [adopted])
                return found
        self._tools.go_on()
        self._tools.guard.check()
        making = exams.create_record(row.job.job_id, decide.record_comment(row))
        return await self._health.ask(exams, row.request_id, making)

    async def _send_task(self, partition: int, row: RequestRow, sequence: Sequence) -> None:
        """Send the DeviceTask; row, task and the record's step are all at the broker on return."""
        tools = self._tools
        row = row.model_copy(update={"stage": ScanState.READY, "cause": None})
        body = decide.device_task(row, sequence.json)
        headers = standard_headers(row.request_id, task_id(row), row.trace)
        gateway = tools.settings.gateway
        if gateway:
            await self._parking.keep(partition, row)
        key = row.job.device_id.encode()
        try:
            await asyncio.gather(
                self._write(partition, row).durable(),
                tools.outbox.deliver(wire.DEVICE_TASKS, key, body, headers, partition=partition),
                self.tell_record(row, ScanState.READY),
            )
        except PermanentError:
            problem = f"the device task has {len(body)} bytes, more than its topic takes"
            await self.end(partition, row, ScanState.FAILED, problem)
            return
        if not gateway:
            await self._parking.leave(partition, row)

    async def park(
        self, partition: int, row: RequestRow, reason: str, error: TransientError | None = None
    ) -> None:
        """Let a job wait. A request that alone fails, five times, of a manager that is well, ends."""
        fault = error is not None and error.at_fault
        parked = await self._parking.park(partition, row, reason, fault=fault)
        if parked.faults + 1 >= decide.MOST_FAULTS:
            cause = f"{reason}; {parked.faults + 1} times for this job alone, while the manager was well"
            await self.end(partition, row, ScanState.FAILED, cause)
            return
        stage = row.stage if row.record_id is not None else ScanState.WAITING
        before, row = row, row.model_copy(update={"stage": stage, "cause": reason})
        if stage is not before.stage:
            waiting = changed(stage, before.stage, parked_unique(row), cause=reason)
            await self._announce(row, [waiting])
        elif parked.tries == 1:
            # Once for each wait, not for each try: no flood while a manager is away.
            retrying = Announcement(
                event=EventKind.RETRYING,
                unique=f"{parked_unique(row)}/{row.tasks}",
                fields={"cause": reason, "state": stage, "record_id": row.record_id},
            )
            await self._announce(row, [retrying])
        await self._write(partition, row).durable()

    async def hold(self, partition: int, row: RequestRow) -> None:
        """Hold a job that is too old to start by itself (promise 9)."""
        cause = "older than START_MAX_AGE"
        await self._parking.hold(partition, row, cause)
        await self.end(partition, row, ScanState.HELD, cause, decide.HELD_ADVICE)

    async def end(
        self,
        partition: int,
        row: RequestRow,
        state: ScanState,
        cause: str | None,
        advice: str | None = None,
    ) -> None:
        """Write how far a job came, announce it, and let the next one go on."""
        before = row.stage
        row = row.model_copy(update={"stage": state, "cause": cause, "advice": advice})
        await self._write(partition, row).durable()
        if row.record_id is None:
            await self._announce(row, [self._end(row, before)])
        else:
            await self.tell_record(row, state)
        await self._parking.leave(partition, row)

    async def tell_record(self, row: RequestRow, state: ScanState) -> None:
        """Tell the record's aggregate how far the scan is; it announces that."""
        own = state is row.stage
        step = RecordStep(
            kind=RecordStepKind.SCAN,
            record_id=row.identity.record_id,
            scan=row.identity,
            state=state,
            cause=row.cause if own else None,
            advice=row.advice if own else None,
            attempt=row.starts,
            born_ms=row.born_ms,
            creations=row.attempt,
        )
        owner = record_key(row.identity.record_id)
        await self._tools.outbox.deliver_step(wire.RECORD_STEPS, owner, step.to_bytes())

    def _end(self, row: RequestRow, before: ScanState) -> Announcement:
        return changed(row.stage, before, parked_unique(row), cause=row.cause, advice=row.advice)

    async def _announce(self, row: RequestRow, announcements: list[Announcement]) -> None:
        job = row.job
        await self._tools.announce(
            announcements,
            key=row.request_id if row.record_id is None else record_key(row.record_id),
            trace=row.trace,
            request_id=row.request_id,
            job_id=job.job_id,
            device_id=job.device_id,
            workflow_id=job.workflow_id,
        )

    def _write(self, partition: int, row: RequestRow) -> Write:
        return self._requests.put(partition, request_key(row.job.device_id, row.request_id), row)
