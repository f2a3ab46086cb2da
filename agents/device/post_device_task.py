"""From a DeviceTask to the scanner: at most one START, whatever dies (promise 2)."""

import asyncio
from collections.abc import Callable

import orjson

from agents.device import decide
from agents.device.breaker import DeviceBreaker
from agents.device.ending import Ending
from agents.device.parking import Parking
from agents.device.saying import task_id
from agents.device.state import RequestRow, request_key
from agents.tools import Tools
from managers import Address
from models import wire
from models.errors import PermanentError, PoisonError, ScanHubError, TransientError
from models.events import ScanState
from models.scan import ScanRequest
from models.wire import Cause
from settings import DeviceDialect
from streams.inbound import Inbound
from streams.tables import DurableTable, Write

LARGE = 262_144
"""Bytes from which a body is rewritten in a thread: JSON of 16 MB would block the loop."""


class TaskPoster:
    """Posts DeviceTasks to their devices."""

    def __init__(
        self,
        tools: Tools,
        requests: DurableTable[RequestRow],
        parking: Parking,
        ending: Ending,
    ) -> None:
        self._tools = tools
        self._requests = requests
        self._parking = parking
        self._ending = ending
        settings = tools.settings
        self._breaker = DeviceBreaker(
            tools.clock.monotonic, settings.retry_first_s, settings.device_retry_most_s
        )

    async def post_device_task(self, inbound: Inbound) -> None:
        """Post a DeviceTask that we sent ourselves; where the gateway is off it is only read.

        Raises PoisonError for a task of a request that is not known here.
        """
        if not self._tools.settings.gateway:
            return
        device_id = (inbound.key or b"").decode("utf-8", "replace")
        row = self._requests.get(inbound.partition, request_key(device_id, inbound.request_id))
        if row is None:
            raise PoisonError("a device task of no request that is known", Cause.UNKNOWN_RECORD)
        if inbound.header.get(wire.MESSAGE_ID) != task_id(row).encode():
            return  # stale: a newer task of this job is on its way, or it was never ours
        if row.stage is ScanState.STARTING:
            # The worker that wrote the intent died before it wrote the outcome.
            lost = TransientError(
                "the worker ended between START and its answer: whether it started is not known"
            )
            await self._settle(inbound.partition, row, decide.start_outcome(lost))
        elif row.stage is ScanState.READY:
            await self._deliver(inbound, row)
        else:
            # Redelivered: the worker may have died before the record heard of the outcome.
            await self._ending.say_again(row)
            await self._parking.settled(inbound.partition, row)

    async def _deliver(self, inbound: Inbound, row: RequestRow) -> None:
        partition, tools = inbound.partition, self._tools
        device_id = row.job.device_id
        wait = self._parking.why_wait(partition, row)
        if wait is not None:
            await self._ending.park(partition, row, wait)
            return
        if self._breaker.open(device_id):
            await self._ending.retry(partition, row, "the device did not answer a moment ago")
            return
        try:
            address = await self._reach(row)
            body = await self._body(inbound, row)
        except TransientError as error:
            await self._ending.retry(partition, row, str(error), error)
            return
        except PermanentError as error:
            await self._ending.end(partition, row, ScanState.FAILED, str(error))
            return
        max_age_s = tools.settings.start_max_age_s
        if decide.too_old(row.born_ms, tools.clock.broker_ms(), max_age_s):
            await self._ending.hold(partition, row, decide.TOO_OLD)
            return
        tools.go_on()
        row = row.model_copy(
            update={"stage": ScanState.STARTING, "starts": row.starts + 1, "cause": None}
        )
        written = self._write(partition, row)
        lease = self._parking.take(partition, row)  # of a job that came before there was a limit
        await asyncio.gather(
            written.durable(),
            self._ending.tell_record(row, ScanState.STARTING),
            *(() if lease is None else (lease.durable(),)),
        )
        # From here on a crash means UNKNOWN. The intent's write just told the broker's time.
        if decide.too_old(row.born_ms, await written.durable(), max_age_s):
            # Of this attempt: the record heard of it as STARTING.
            held = row.model_copy(update={"stage": ScanState.READY})
            await self._ending.hold(partition, held, decide.TOO_OLD)
            return
        headers = {
            wire.FENCING_TOKEN: str(inbound.offset),
            wire.REQUEST_ID: row.request_id,
            **{name: (value or b"").decode("ascii", "ignore") for name, value in row.trace},
        }
        failure = await self._post(address, body, headers)
        if isinstance(failure, TransientError):
            self._breaker.failed(device_id)
        else:
            self._breaker.answered(device_id)
        outcome = decide.start_outcome(failure)
        if outcome.state is ScanState.READY:
            tools.managers.devices.forget(device_id)
        await self._settle(partition, row, outcome)

    async def _reach(self, row: RequestRow) -> Address:
        """Give the device's address; of one that was away only once it takes connections again.

        Each intent is announced; of a device that is off for an hour nobody wants hundreds.
        """
        device_id, managers = row.job.device_id, self._tools.managers
        address = await managers.devices.device_location_request(device_id)
        if row.starts:
            try:
                await managers.scanner.take_connection(address)
            except TransientError:
                self._breaker.failed(device_id)
                managers.devices.forget(device_id)
                raise
        return address

    async def _post(
        self, address: Address, body: bytes, headers: dict[str, str]
    ) -> ScanHubError | None:
        """Post, once; gives what went wrong. The guard stands directly before the request."""
        self._tools.guard.check()
        try:
            await self._tools.managers.scanner.post_device_task(address, body, headers=headers)
        except (TransientError, PermanentError) as error:
            return error
        return None

    async def _settle(self, partition: int, row: RequestRow, outcome: decide.Outcome) -> None:
        if outcome.state is ScanState.READY:
            # No byte was sent: not started for sure. Again later, with a new DeviceTask.
            row = row.model_copy(update={"stage": ScanState.READY, "cause": outcome.cause})
            await self._write(partition, row).durable()
            await self._ending.tell_record(row, ScanState.READY)
            await self._ending.retry(partition, row, outcome.cause or "the device is away")
            return
        await self._ending.end(partition, row, outcome.state, outcome.cause, outcome.advice)

    async def _body(self, inbound: Inbound, row: RequestRow) -> bytes:
        task = inbound.value or b""
        if self._tools.settings.device_dialect is DeviceDialect.TASK:
            return task
        if row.record_id is None:
            raise PermanentError("the request has no record")
        rewrite: Callable[[bytes, int | str], bytes] = scan_request
        if len(task) > LARGE:
            return await asyncio.to_thread(rewrite, task, row.record_id)
        try:
            return rewrite(task, row.record_id)
        except (orjson.JSONDecodeError, LookupError, TypeError):
            raise PoisonError("a device task that is none of ours", Cause.INVALID) from None

    def _write(self, partition: int, row: RequestRow) -> Write:
        return self._requests.put(partition, request_key(row.job.device_id, row.request_id), row)


def scan_request(task: bytes, record_id: int | str) -> bytes:
    """Rewrite a DeviceTask of ours as the ScanRequest of 2023: the sequence becomes JSON text."""
    sequence = orjson.loads(task)["parametrized_sequence"]["sequence"]
    return ScanRequest(record_id=record_id, sequence=orjson.dumps(sequence).decode()).to_bytes()
