"""Sends jobs: at a steady rate, whatever comes back (open loop), or as fast as they go."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from models import wire
from models.scan import XYZ, AcquisitionLimits, Gender, ScanJob, SequenceParameters

_SEQUENCE: Final = "65a1b2c3d4e5f60718293a4b"
SEQUENCES: Final = tuple(f"65a1b2c3d4e5f607182930{number:02x}" for number in range(10))
"""For a load that asks for more than one."""
_LIMITS: Final = AcquisitionLimits(
    patient_height=175.0, patient_weight=70.0, gender=Gender.NOT_GIVEN, patient_age=40
)
_PARAMETERS: Final = SequenceParameters(
    fov=XYZ(X=240.0, Y=240.0, Z=5.0), fov_offset=XYZ(X=0.0, Y=0.0, Z=0.0)
)


class Load:
    """Makes jobs over some devices, in turn; `first` keeps two loads' names apart."""

    def __init__(
        self, bootstrap: str, devices: int | Sequence[str], *, first: int = 1, prefix: str = ""
    ) -> None:
        self.prefix = prefix
        self._devices = device_names(devices) if isinstance(devices, int) else tuple(devices)
        self._numbers = count(first)
        # Idempotent: a retry inside of the client must not look like a second job.
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, enable_idempotence=True, max_batch_size=256 * 1024
        )

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(KafkaError, asyncio.CancelledError):  # as in sandbox/demo/bus.py
            await self._producer.stop()

    async def partitions(self, topic: str) -> set[int]:
        """Give a topic's partitions."""
        found: set[int] = await self._producer.partitions_for(self.prefix + topic)
        return found

    async def at_rate(self, per_second: float, seconds: float) -> dict[str, float]:
        """Send jobs at their times; gives each one's time.

        That is the time it was due, so a sender that falls behind makes no latency look better.
        """
        sent: dict[str, float] = {}
        acknowledged = []
        jobs = int(per_second * seconds)
        async for due in _times(per_second):
            name, job = next(self._jobs())
            sent[name] = due
            acknowledged.append(await self._send(name, job))
            if len(sent) >= jobs:
                break
        await asyncio.gather(*acknowledged)
        return sent

    async def go_on(self, per_second: float, sent: dict[str, float]) -> None:
        """Send jobs at their times until it is cancelled; `sent` grows as they are acknowledged."""
        async for due in _times(per_second):
            name, job = next(self._jobs())
            acknowledged = await self._send(name, job)
            acknowledged.add_done_callback(partial(_noted, sent, name, due))

    async def at_once(self, jobs: int) -> tuple[set[str], float]:
        """Send jobs as fast as the broker takes them; gives their names and when the first went."""
        began = time.monotonic()
        made = [next(self._jobs()) for _ in range(jobs)]
        acknowledged = [await self._send(name, job) for name, job in made]
        await asyncio.gather(*acknowledged)
        return {name for name, _ in made}, began

    def _jobs(self) -> Iterator[tuple[str, ScanJob]]:
        for number in self._numbers:
            device = self._devices[number % len(self._devices)]
            yield f"bench-{number}", make_job(number, device)

    async def _send(self, name: str, job: ScanJob) -> "asyncio.Future[object]":
        sending: asyncio.Future[object] = await self._producer.send(
            self.prefix + wire.SCAN_JOBS,
            job.to_bytes(),
            key=job.device_id.encode(),
            headers=[(wire.REQUEST_ID, name.encode())],
        )
        return sending


def device_names(devices: int) -> tuple[str, ...]:
    """Name so many devices."""
    return tuple(f"mri-{number:04}" for number in range(devices))


async def _times(per_second: float) -> AsyncIterator[float]:
    """Give the times at which jobs are due, each when it has come."""
    first = time.monotonic()
    for number in count():
        due = first + number / per_second
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        yield due


def _noted(
    sent: dict[str, float], name: str, due: float, acknowledged: "asyncio.Future[object]"
) -> None:
    if not acknowledged.cancelled() and acknowledged.exception() is None:
        sent[name] = due


def make_job(number: int, device_id: str, sequence_id: str = _SEQUENCE) -> ScanJob:
    """Make a job as any other."""
    return ScanJob(
        job_id=number,
        sequence_id=sequence_id,
        device_id=device_id,
        acquisition_limits=_LIMITS,
        sequence_parameters=_PARAMETERS,
    )
