"""Requests that are over are forgotten after some days: SCANHUB_REMEMBER_REQUESTS_DAYS.

The sweep (agents/sweep.py) finds them and tells their device. Here, in the device's order, it is decided
anew on the row as it is: between the two a person may have released the job.
"""

import asyncio

from agents.device.state import RequestRow, request_key
from agents.tools import Tools
from models.events import ScanState
from models.steps import DeviceStep
from models.work import AT_DEVICE, HELD, PARKED, ParkedRow
from streams.clock import DAY_MS
from streams.openwork import OpenWork
from streams.tables import DurableTable


def is_old(row: RequestRow, now_ms: int, days: float) -> bool:
    """Tell whether a request is over, and came more than so many days ago by the broker's clock.

    STARTED is over for the device: what becomes of the scan its record knows. What still waits, is
    held or is UNKNOWN waits for somebody, whatever its age.
    """
    over = row.stage.final or row.stage is ScanState.STARTED
    return over and now_ms - row.born_ms > days * DAY_MS


async def forget(
    tools: Tools,
    requests: DurableTable[RequestRow],
    work: OpenWork[ParkedRow],
    partition: int,
    step: DeviceStep,
) -> None:
    """Delete those of some requests that are old; durable on return.

    One that still has a row in its device's queue holds the device, and is kept. One that is gone
    already is deleted once more: a worker may have died between its own store and the changelog.
    """
    now, days = tools.clock.broker_ms(), tools.settings.remember_requests_days
    writes, known = [], 0
    for request_id in step.requests:
        key = request_key(step.device_id, request_id)
        row = requests.get(partition, key)
        if row is not None:
            names = (prefix + row.order for prefix in (AT_DEVICE, PARKED, HELD))
            queued = any(work.get(partition, step.device_id, name) for name in names)
            if queued or not is_old(row, now, days):
                continue
            known += 1
        writes.append(requests.delete(partition, key))
    await asyncio.gather(*(write.durable() for write in writes))
    tools.metrics.expired.labels("requests").inc(known)
