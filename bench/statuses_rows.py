"""Scans that run, as a processor would have left them, and the statuses that their scanners send."""

from aiokafka import AIOKafkaProducer

from agents.record.state import ScanRow
from agents.runtime import TABLES
from agents.tools import record_key
from bench.grow_burst import Sent
from bench.grow_size import Space
from bench.load import device_names
from models.events import ScanState
from models.scan import ScanStatus, StatusState
from models.steps import ScanIdentity
from streams.provision import Provisioner, changelog
from streams.topics import partition_of

FIRST_RECORD = 20_000_000
"""Far from the numbers that the stub gives its records, and from those of bench/rows.py."""
_BORN_MS = 1_700_000_000_000
_WAY = (ScanState.READY, ScanState.STARTING, ScanState.STARTED, ScanState.RUNNING)
_DEVICES = 50


async def fill_running(bootstrap: str, space: Space, records: int) -> None:
    """Make all topics and write the rows of so many scans that run. Raises KafkaError."""
    specs = [*space.topics.specs(), *(changelog(space.app_id, t, space.partitions) for t in TABLES)]
    async with Provisioner(bootstrap) as provisioner:
        await provisioner.look(specs, make=True)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for number in range(records):
            row = running(number)
            key = record_key(row.scan.record_id).encode()
            await producer.send(
                f"{space.app_id}-scans-changelog",
                row.to_bytes(),
                key=key,
                partition=partition_of(key, space.partitions),
            )
    finally:
        await producer.stop()  # waits until all is at the broker


def running(number: int) -> ScanRow:
    """Make the row of a scan whose scanner is at work."""
    times = {state: _BORN_MS + n * 1000 for n, state in enumerate(_WAY)}
    return ScanRow(
        scan=ScanIdentity(
            record_id=FIRST_RECORD + number,
            device_id=device_names(_DEVICES)[number % _DEVICES],
            request_id=f"running-{number}",
            job_id=FIRST_RECORD + number,
        ),
        state=ScanState.RUNNING,
        attempt=1,
        times=times,
    )


def status(number: int, percent: int) -> Sent:
    """Make what the scanner of a scan sends while it runs."""
    scan = running(number).scan
    told = ScanStatus(
        record_id=scan.record_id,
        status_percent=percent,
        device_id=scan.device_id,
        state=StatusState.RUNNING,
    )
    return Sent(record_key(scan.record_id).encode(), told.to_bytes())
