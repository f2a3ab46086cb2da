"""Who a message is: repeats, redeliveries, senders with other partitioners, early messages."""

import asyncio
import json
import zlib
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from models import wire
from streams.topics import partition_of
from tests.integration.house import House, scan_job
from tests.integration.test_bad_messages import finish

PARTITIONS = 4


async def test_the_same_request_twice_is_one_record_and_one_start(house: House) -> None:
    request = uuid4().hex
    job = scan_job("mri-1", 31)
    for _ in range(2):
        await house.history.produce(
            wire.SCAN_JOBS, job, key="mri-1", headers={"request-id": request}
        )
    await house.history.reaches(request, "COMPLETED")
    await house.history.until(
        lambda: [
            e for e in house.history.events
            if e["event"] == "REPEATED" and e.get("request_id") == request
        ],
        what="the repeat is announced",
    )  # fmt: skip
    mine = [r for r in await house.records() if request in (r["comment"] or "")]
    assert len(mine) == 1
    starts = [s for s in house.starts("mri-1") if str(s["record_id"]) == str(mine[0]["id"])]
    assert len(starts) == 1


async def test_another_job_under_a_taken_request_id_is_a_dead_letter(house: House) -> None:
    request, record = await finish(house)
    mark = uuid4().hex
    await house.history.produce(
        wire.SCAN_JOBS,
        scan_job("mri-1", 99),
        key="mri-1",
        headers={"request-id": request, "mark": mark},
    )
    letter = await house.history.dead_letter(lambda m: m.header.get("mark") == mark, what="taken")
    assert letter.header["scanhub.cause"] == "invalid"
    assert len([s for s in house.starts("mri-1") if str(s["record_id"]) == str(record)]) == 1


async def test_every_sender_ends_on_one_partition_in_one_order(house: House) -> None:
    """librdkafka hashes keys by CRC32, others by murmur2, some send none: one device, one order."""
    device = next(
        name
        for name in (f"shared-{n}" for n in range(100))
        if partition_of(name.encode(), PARTITIONS) != _crc32_partition(name)
    )
    await house.start_device(device, scan_seconds=0.05)
    foreign = Producer({"bootstrap.servers": house.kafka.bootstrap})
    requests = [f"{device}-{n}-{uuid4().hex[:8]}" for n in range(9)]
    for number, request in enumerate(requests):
        body = scan_job(device, 100 + number)
        if number % 3 == 0:
            await house.history.produce(
                wire.SCAN_JOBS, body, key=device, headers={"request-id": request}
            )
        else:
            foreign.produce(
                house.prefix + wire.SCAN_JOBS,
                json.dumps(body).encode(),
                key=device if number % 3 == 1 else None,
                headers={"request-id": request},
            )
            await asyncio.to_thread(foreign.flush, 10)
    for request in requests:
        states = await house.history.reaches(request, "COMPLETED")
        assert states.count("ACCEPTED") == 1
    right = partition_of(device.encode(), PARTITIONS)
    tasks = [m for m in house.history.messages[wire.DEVICE_TASKS] if m.key == device.encode()]
    assert {task.partition for task in tasks} == {right}
    assert len(tasks) == len(requests)
    records = [str(s["record_id"]) for s in house.starts(device)]
    assert len(records) == len(set(records)) == len(requests)
    moved = [m for m in house.history.messages[wire.SCAN_JOBS] if "rerouted-from" in m.header]
    assert {m.header["request-id"] for m in moved} >= {requests[1], requests[4], requests[7]}


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_sender_may_compress_as_it_likes(house: House, codec: str) -> None:
    """aiokafka reads lz4, snappy and zstd only with cramjam: without it one batch stops the worker."""
    request = uuid4().hex
    foreign = Producer({"bootstrap.servers": house.kafka.bootstrap, "compression.type": codec})
    foreign.produce(
        house.prefix + wire.SCAN_JOBS,
        json.dumps(scan_job("mri-1", 7)).encode(),
        key="mri-1",
        headers={"request-id": request},
    )
    await asyncio.to_thread(foreign.flush, 10)
    await house.history.reaches(request, "COMPLETED")


def _crc32_partition(key: str) -> int:
    return zlib.crc32(key.encode()) % PARTITIONS


async def test_statuses_that_come_before_their_record_are_kept_and_counted(house: House) -> None:
    """The next record's id is known beforehand here: integers, one after the other."""
    _, last = await finish(house)
    coming = int(last) + 1
    for percent in (3, 7):
        await house.history.produce(
            wire.SCAN_STATUS, {"record_id": coming, "status_percent": percent}, key=str(coming)
        )
    request, record = await finish(house)
    assert record == coming
    percents = [
        e["percent"]
        for e in house.history.events
        if e["event"] in ("PROGRESS", "LATE") and e.get("record_id") == coming and "percent" in e
    ]
    assert percents[:2] == [3, 7]
    assert house.history.states(request)[-1] == "COMPLETED"
    early = [
        m for m in house.history.messages[wire.DEAD_LETTERS]
        if m.header["__streams.errors.topic"] == wire.SCAN_STATUS and m.key == str(coming).encode()
    ]  # fmt: skip
    assert early == []
