"""The two measurements of statuses: a backlog, and a steady rate."""

import asyncio
import time
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from bench.grow_burst import burst
from bench.grow_size import Space
from bench.report import percentiles
from bench.stand import Stand
from bench.statuses_rows import FIRST_RECORD, status
from bench.statuses_watch import Progress
from models import wire
from models.events import EventKind

WHOLE: Final = 100
_BACKLOG_S: Final = 300.0
_END_S: Final = 30.0
_LOOK_S: Final = 0.1


async def backlog(stand: Stand, space: Space, number: int, records: int) -> dict[str, Any]:
    """Send statuses in one moment, those of a scan one after the other; the last of each is 100 %.

    It is over when the worker has acknowledged all of them, and the last of each scan was forwarded.
    """
    per_record = number // records
    made = [
        status(record, WHOLE if n == per_record - 1 else n * (WHOLE - 1) // per_record)
        for n in range(per_record)
        for record in range(records)
    ]
    bootstrap, topic = stand.kafka.bootstrap, space.topics[wire.SCAN_STATUS]
    names = [str(FIRST_RECORD + record) for record in range(records)]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        async with Progress(bootstrap, space, stand.check) as progress:
            goal = await _acknowledged(admin, space) + len(made)
            before = stand.usage(space.name)
            began = await burst(bootstrap, topic, space.partitions, made)
            while (at := await _acknowledged(admin, space)) < goal:
                if time.monotonic() > began + _BACKLOG_S:
                    break
                stand.check()
                await asyncio.sleep(_LOOK_S)
            after = stand.usage(space.name)

            def all_told() -> bool:
                progress.parse()
                return all(progress.told(name, WHOLE) is not None for name in names)

            await progress.until(all_told, _END_S)
    finally:
        await admin.close()
    ends = [progress.told(name, WHOLE) for name in names]
    told = [moment for moment in ends if moment is not None]
    took_s = max(told) - began if told else None
    cpu_s = None if before is None or after is None else after.cpu_s - before.cpu_s
    forwarded = progress.kinds[EventKind.PROGRESS]
    return {
        "statuses": len(made),
        "records": records,
        "statuses_per_second": round(len(made) / took_s, 1) if took_s else None,
        "worker_cpu_ms_per_status": None if cpu_s is None else round(1000 * cpu_s / len(made), 3),
        "events_forwarded": forwarded,
        "events_per_status": round(forwarded / len(made), 4),
        "events_of_other_kinds": sum(progress.kinds.values()) - forwarded,
        "dead_letters": progress.dead,
        "not_acknowledged": max(0, goal - at),
        "scans_whose_last_was_not_told": len(names) - len(told),
        "worker_rss_mb": None if after is None else round(after.rss_mb),
    }


async def steady(
    stand: Stand, space: Space, *, per_second: float, seconds: float, first: int, records: int
) -> dict[str, Any]:
    """Send statuses at their times, whatever comes back; gives how long each took to be told.

    A status' time is the one at which it was due. Its scan's percents only grow, so that a reader
    knows of it by its own event or by a later one of its scan.
    """
    bootstrap, topic = stand.kafka.bootstrap, space.topics[wire.SCAN_STATUS]
    total = int(per_second * seconds)
    plan = [(first + n % records, n // records) for n in range(total)]
    made = [status(record, percent) for record, percent in plan]
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        async with Progress(bootstrap, space, stand.check) as progress:
            before, began = stand.usage(space.name), time.monotonic()
            due, acknowledged, late = [], [], 0.0
            for n, sent in enumerate(made):
                due.append(began + n / per_second)
                await asyncio.sleep(max(0.0, due[-1] - time.monotonic()))
                late = max(late, time.monotonic() - due[-1])
                acknowledged.append(await producer.send(topic, sent.value, key=sent.key))
            await asyncio.gather(*acknowledged)
            after, wall_s = stand.usage(space.name), time.monotonic() - began

            def times() -> list[float | None]:
                progress.parse()
                return [progress.told(str(FIRST_RECORD + one), p) for one, p in plan]

            await progress.until(lambda: None not in times(), _END_S)
            told = times()
    finally:
        await producer.stop()
    took = [moment - at for moment, at in zip(told, due, strict=True) if moment is not None]
    cpu_s = None if before is None or after is None else after.cpu_s - before.cpu_s
    forwarded = progress.kinds[EventKind.PROGRESS]
    return {
        "per_second": per_second,
        "seconds": seconds,
        "statuses": total,
        "to_forwarded_ms": percentiles(took),
        "sender_late_at_most_ms": round(late * 1000, 1),
        "worker_cpu_share": None if cpu_s is None else round(cpu_s / wall_s, 3),
        "events_forwarded": forwarded,
        "events_per_status": round(forwarded / total, 4),
        "dead_letters": progress.dead,
        "not_told": total - len(took),
    }


async def _acknowledged(admin: AIOKafkaAdminClient, space: Space) -> int:
    """Give how many statuses the worker has committed, over all partitions."""
    offsets = await admin.list_consumer_group_offsets(space.app_id)
    topic = space.topics[wire.SCAN_STATUS]
    return sum(max(0, found.offset) for place, found in offsets.items() if place.topic == topic)
