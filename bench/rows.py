"""Fills the changelogs with finished records, as a processor would have left them."""

import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from agents.device.state import RequestRow, request_key
from agents.record.state import FileIndex, FileKind, FileRow, ScanRow, file_key, index_key
from agents.runtime import TABLES
from agents.tools import record_key
from bench.load import device_names, make_job
from models.base import Message
from models.events import ScanState
from models.steps import ScanIdentity
from streams.provision import Provisioner, changelog
from streams.topics import Topics, partition_of

FIRST_RECORD: Final = 10_000_000
"""Far from the numbers that the stub gives its records."""
_BORN_MS: Final = 1_700_000_000_000
_EACH_MS: Final = 1000
"""Between two records, and between two states of one."""
_WAY: Final = (
    ScanState.READY, ScanState.STARTING, ScanState.STARTED, ScanState.RUNNING, ScanState.ACQUIRED,
    ScanState.RECONSTRUCTING, ScanState.COMPLETED,
)  # fmt: skip
_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"

Row = tuple[str, int, str, Message]
"""Table, partition, key, row."""


async def fill(
    bootstrap: str,
    app_id: str,
    topics: Topics,
    records: int,
    devices: int,
    *,
    first: int = 0,
    age_s: float = 0,
) -> int:
    """Make all topics and write so many finished records; gives the number of rows.

    The last of them ended `age_s` ago, each one before a second earlier: what is as old as the
    settings say would expire (agents/sweep.py). `first` keeps the records of two calls apart.
    """
    born_ms = int((time.time() - age_s) * 1000) - (first + records + len(_WAY)) * _EACH_MS
    specs = [*topics.specs(), *(changelog(app_id, t, topics.partitions) for t in TABLES)]
    async with Provisioner(bootstrap) as provisioner:
        await provisioner.look(specs, make=True)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=512 * 1024)
    await producer.start()
    batches: dict[tuple[str, int], Any] = {}
    rows = 0
    try:
        for number in range(first, first + records):
            made = record_rows(number, devices, topics.partitions, born_ms)
            for table, partition, key, row in made:
                rows += 1
                place = (f"{app_id}-{table}-changelog", partition)
                batch = batches.get(place) or producer.create_batch()
                batches[place] = batch
                pair = {"key": key.encode(), "value": row.to_bytes(), "timestamp": None}
                if batch.append(**pair) is None:  # it is full
                    await producer.send_batch(batch, place[0], partition=partition)
                    batches[place] = batch = producer.create_batch()
                    batch.append(**pair)
        for (topic, partition), batch in batches.items():
            await producer.send_batch(batch, topic, partition=partition)
    finally:
        await producer.stop()  # waits until all is at the broker
    return rows


def record_rows(
    number: int, devices: int, partitions: int, born_ms: int = _BORN_MS
) -> Iterator[Row]:
    """Give the rows of one finished record: a scan with raw data and one image.

    `born_ms` is when the one with number 0 came, broker time.
    """
    record_id, request_id = FIRST_RECORD + number, f"filled-{number}"
    device = device_names(devices)[number % devices]
    job = make_job(FIRST_RECORD + number, device)
    scan = ScanIdentity(
        record_id=record_id, device_id=device, request_id=request_id, job_id=job.job_id
    )
    born = born_ms + number * _EACH_MS
    yield (
        "requests",
        partition_of(device.encode(), partitions),
        request_key(device, request_id),
        RequestRow(
            stage=ScanState.STARTED,
            origin=f"scan-jobs-0-{number}",
            body_sha256=sha256(job.to_bytes()).hexdigest(),
            born_ms=born,
            order=f"{born:015d}-{number:015d}",
            job=job,
            request_id=request_id,
            record_id=record_id,
            attempt=1,
            tasks=1,
            starts=1,
        ),
    )
    record = record_key(record_id)
    partition = partition_of(record.encode(), partitions)
    times = {state: born + (n + 1) * _EACH_MS for n, state in enumerate(_WAY)}
    row = ScanRow(
        scan=scan, state=ScanState.COMPLETED, percent=100, attempt=1, times=times, files=2,
        tidied=True, raw=0, seen_ms=times[_WAY[-2]], ended_ms=times[_WAY[-1]],
    )  # fmt: skip
    yield "scans", partition, record, row
    for file in _files(record):
        yield "result-files", partition, file_key(record, file.sha256), file
        names: list[tuple[str, int | str | None]] = [
            ("n", file.number),
            ("uid", file.sop_instance_uid),
            ("job", file.reco_job_id if file.kind is FileKind.RAW else None),
        ]
        for kind, name in names:
            if name is not None:
                index = FileIndex(sha256=file.sha256)
                yield "result-index", partition, index_key(record, kind, name), index


def _files(record: str) -> tuple[FileRow, FileRow]:
    raw, image = (sha256(f"{kind} of {record}".encode()).hexdigest() for kind in FileKind)
    reco_job = f"{raw[:8]}-0000-5000-8000-{raw[8:20]}"
    return (
        FileRow(
            kind=FileKind.RAW, number=0, location=f"records/{record}/{raw[:12]}-raw.npy",
            size=16_777_216, sha256=raw, media_type="application/x-npy", reco_job_id=reco_job,
        ),
        FileRow(
            kind=FileKind.IMAGE, number=1, location=f"records/{record}/{image[:12]}-image.dcm",
            size=525_312, sha256=image, media_type="application/dicom", sop_class_uid=_IMAGE,
            sop_instance_uid=f"2.25.{int(image[:24], 16)}", reco_job_id=reco_job,
        ),
    )  # fmt: skip
