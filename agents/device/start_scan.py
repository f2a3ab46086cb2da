"""From a scan job to a DeviceTask: accept, queue, enrich, send (design: the way of a scan job)."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from agents.device import decide
from agents.device.decide import Arrival, Wait
from agents.device.ending import Ending
from agents.device.enrich import Enricher
from agents.device.health import Health
from agents.device.parking import Parking
from agents.device.saying import accepted, announce, lined_up, say, task_id
from agents.device.state import RequestRow, request_key
from agents.tools import Announcement, Tools
from managers import Sequence
from models import wire
from models.errors import PermanentError, PoisonError, TransientError
from models.events import EventKind, ScanState
from models.scan import ScanJob
from models.wire import Cause
from streams.eager import acknowledged, begin
from streams.inbound import Inbound
from streams.intake import is_in_place, reroute
from streams.outbox import standard_headers
from streams.tables import DurableTable, Write

EARLY_BYTES: Final = 256 * 1024
"""A device's next job need not wait until the broker has a task up to this size: nothing refuses it."""


class ScanStarter:
    """Takes scan jobs as far as their DeviceTask."""

    def __init__(
        self,
        tools: Tools,
        requests: DurableTable[RequestRow],
        parking: Parking,
        ending: Ending,
        health: Health,
    ) -> None:
        self._tools = tools
        self._requests = requests
        self._parking = parking
        self._ending = ending
        self._health = health
        self._enricher = Enricher(tools, health)

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
        kind = decide.arrival(row, inbound.origin, inbound.body_sha256)
        if row is None:
            came = decide.accept(inbound, job)
            return await self._begin(inbound.partition, came, fresh=self._tools.fresh(inbound))
        if kind is Arrival.AGAIN:
            # Its worker died, maybe before this was announced: as it was then, without a record.
            came = row.model_copy(update={"record_id": None})
            await announce(self._tools, came, [accepted(row)])
            await self._ending.say_lined_up(inbound.partition, row)
            await self.resume(inbound.partition, row, redelivered=True)
        elif kind is Arrival.REPEATED:
            told = {"state": row.stage, "cause": row.cause, "advice": row.advice}
            repeat = Announcement(event=EventKind.REPEATED, unique=inbound.here, fields=told)
            await announce(self._tools, row, [repeat])
        else:
            raise PoisonError("this request id belongs to another job", Cause.INVALID)
        return None

    async def resume(self, partition: int, row: RequestRow, *, redelivered: bool = False) -> None:
        """Take a known job further, from its stage: after a crash, or when its wait is over.

        What was sent before is sent again with the same ids; nobody is told twice for good.
        """
        if not decide.goes_on(row):
            await self._ending.say_again(row)
            return
        wait = self._parking.why_wait(partition, row)
        if wait is not decide.DEVICE_HELD and self._too_old(row):
            await self._ending.hold(partition, row, decide.TOO_OLD)
        elif wait is not None:
            await self._ending.park(partition, row, wait)
        elif row.stage is ScanState.READY:
            # The task that may be on its way keeps its id and its place before later jobs' tasks;
            # a new one would make it stale, and a later job would start first.
            await self.advance(partition, row, same_task=redelivered and row.tasks > 0)
        else:
            await self.advance(partition, row.model_copy(update={"attempt": row.attempt + 1}))

    async def _begin(
        self, partition: int, row: RequestRow, *, fresh: bool
    ) -> Awaitable[Any] | None:
        settings = self._tools.settings
        problem = decide.refuse(row.job, records=settings.records, dialect=settings.device_dialect)
        wait = None if problem else self._parking.why_wait(partition, row)
        if wait is not None:
            return self._line_up(partition, row, wait)
        tools = self._tools
        said = await say(tools, row, [accepted(row)])
        if problem is not None:
            await tools.confirm(said)
            await self._ending.end(partition, row, ScanState.FAILED, problem)
        elif self._too_old(row):
            await tools.confirm(said)
            await self._ending.hold(partition, row, decide.TOO_OLD)
        elif fresh:
            # Its place in a queue needs its row; else the first row is the one with its record: should
            # the worker die before that, the job comes again and is not fresh any more.
            written = self._write(partition, row) if settings.scans_per_device else None
            sent = await self.advance(partition, row, written, fresh=True)
            return self._confirmed(sent, said)
        else:
            await tools.confirm(said)
            # A worker may have died with it: making its record may have been begun.
            again = row.model_copy(update={"attempt": row.attempt + 1})
            await self.advance(partition, again)
        return None

    def _line_up(self, partition: int, row: RequestRow, wait: Wait) -> Awaitable[Any]:
        """Park a new job behind others of its device: all at once, as thousands may come so.

        The device's next message sees the rows and need not wait for the broker. Should the worker
        die before the events are out, the job comes again, and they are sent then.
        """
        row, announcements = lined_up(row, wait, self._parking.place(partition, row))
        parked = self._parking.line_up(partition, row, wait.cause)
        written = self._write(partition, row)
        announced = announce(self._tools, row, announcements)
        return asyncio.gather(announced, parked.durable(), written.durable())

    async def _confirmed(self, sent: Awaitable[Any] | None, said: list[Awaitable[Any]]) -> None:
        if sent is not None:
            await sent
        await self._tools.confirm(said)

    async def advance(
        self,
        partition: int,
        row: RequestRow,
        accepted: Write | None = None,
        *,
        fresh: bool = False,
        same_task: bool = False,
    ) -> Awaitable[Any] | None:
        """Enrich a job, make its record and send its DeviceTask; park it where that can't be now.

        Only of a fresh job may a record be made without looking first: a row read from the table, or
        a message that comes again, may be of a worker that died in between. `accepted`: its row's
        write, if it was made. Gives what is still to be awaited: of a fresh job only.
        """
        before = row.stage
        if row.record_id is not None and before is ScanState.HELD:
            row = row.model_copy(update={"stage": ScanState.READY, "cause": None, "advice": None})
            await self._ending.tell_record(row, ScanState.READY)
        lease = self._parking.take(partition, row)
        try:
            written = accepted if fresh else self._write(partition, row)
            sequence = await self._enricher.enrich(row, written, lease)
            if row.record_id is None:
                row = await self._enricher.find_or_make(row, fresh=fresh)
        except TransientError as error:
            await self._ending.retry(partition, row, str(error), error)
            return None
        except PermanentError as error:
            await self._ending.end(partition, row, ScanState.FAILED, str(error))
            return None
        tasks = row.tasks if same_task else row.tasks + 1
        ready = {"stage": ScanState.READY, "cause": None, "advice": None, "tasks": tasks}
        return await self._send_task(
            partition, row.model_copy(update=ready), sequence, before, early=fresh
        )

    async def _send_task(
        self,
        partition: int,
        row: RequestRow,
        sequence: Sequence,
        before: ScanState,
        *,
        early: bool,
    ) -> Awaitable[Any] | None:
        """Send the DeviceTask; row, task and the record's step are all at the broker on return.

        `early`: where nothing waits for the device and nobody counts its scans, the next job need not
        wait for that; what this one waits for is given. All is in its batch before, also where that
        has to wait for room: the next job's task comes behind it, and none outlives it in a crash.
        """
        tools, gateway = self._tools, self._tools.settings.gateway
        body = decide.device_task(row, sequence.json)
        headers = standard_headers(row.request_id, task_id(row), row.trace)
        key = row.job.device_id.encode()
        written = self._write(partition, row)
        try:
            step = await self._ending.put_step(row, ScanState.READY, previous=before)
            task = await tools.outbox.put(
                wire.DEVICE_TASKS, key, body, headers, partition=partition
            )
            sending = acknowledged(
                written.durable(),
                tools.outbox.confirm(task),
                tools.outbox.confirm(step),
                *((self._parking.keep(partition, row),) if gateway else ()),
            )
            if early and len(body) <= EARLY_BYTES and self._parking.is_free(partition, row):
                return begin(sending)[1]
            await sending
        except PermanentError:
            problem = f"the device task has {len(body)} bytes, more than its topic takes"
            await self._ending.end(partition, row, ScanState.FAILED, problem)
            return None
        await self._parking.took_device(partition, row)
        if not gateway:
            await self._parking.started(partition, row)
        return None

    def _too_old(self, row: RequestRow) -> bool:
        """Tell whether a job is too old to start by itself.

        While a manager is away the clock of this stage stands still: it waits, and is held when the
        manager is back.
        """
        tools = self._tools
        if row.record_id is None and row.stage is not ScanState.QUEUED and self._health.any_open:
            return False
        return decide.too_old(row.born_ms, tools.clock.broker_ms(), tools.settings.start_max_age_s)

    def _write(self, partition: int, row: RequestRow) -> Write:
        return self._requests.put(partition, request_key(row.job.device_id, row.request_id), row)
