"""The device's queue on a real broker: one scan at a time, whatever dies."""

from itertools import pairwise
from typing import Any
from uuid import uuid4

from models import wire
from tests.integration.conftest import BuildHouse
from tests.integration.house import House, scan_job

DEVICE = "mri-1"
QUEUE = {
    "SCANHUB_SCANS_PER_DEVICE": "1",
    "SCANHUB_CACHE_S": "0",
    "SCANHUB_RETRY_FIRST_S": "0.2",
    "SCANHUB_RETRY_MOST_S": "1",
    "SCANHUB_DEVICE_RETRY_MOST_S": "1",
}


async def submit(house: House, number: int, **fields: Any) -> str:
    request = f"q{number}-{uuid4().hex[:8]}"
    job = scan_job(DEVICE, 100 + number, **fields)
    await house.history.produce(wire.SCAN_JOBS, job, key=DEVICE, headers={"request-id": request})
    return request


async def command(house: House, kind: str, request: str | None = None) -> str:
    """Send a command and wait for its answer; gives the answer's sentence."""
    command_id = uuid4().hex
    body = {"command_id": command_id, "command": kind, "device_id": DEVICE, "by": "Ada"}
    if request is not None:
        body["scan_request_id"] = request
    await house.history.produce(wire.SCAN_COMMANDS, body, key=DEVICE)

    def answer() -> str | None:
        for event in house.history.events:
            if event.get("command_id") == command_id:
                return str(event["cause"])
        return None

    return str(await house.history.until(answer, what=f"{kind} is answered"))


def times(house: House, request: str, state: str) -> list[str]:
    """When a request's scan reached a state, as events say."""
    return [
        event["at"]
        for event in house.history.events
        if event.get("request_id") == request
        and event["event"] == "STATE_CHANGED"
        and event["state"] == state
    ]


def one_at_a_time(house: House, *requests: str) -> None:
    """No START before the scan before had its data, by the events of one worker's clock."""
    begun = sorted((times(house, one, "STARTING")[0], one) for one in requests)
    for (_, before), (at, _) in pairwise(begun):
        assert times(house, before, "ACQUIRED")[0] <= at
    assert len(house.starts(DEVICE)) == len(requests)


async def test_five_jobs_one_urgent_one_cancelled_and_the_device_away(
    make_house: BuildHouse,
) -> None:
    house = await make_house(**QUEUE)
    await house.furnish(DEVICE, scan_seconds=1)
    first = await submit(house, 1)
    await house.history.reaches(first, "RUNNING")
    others = [await submit(house, number) for number in (2, 3, 4)]
    for place, request in enumerate(others, start=1):
        await house.history.reaches(request, "QUEUED")
        assert house.history.event(request, "QUEUED")["count"] == place
    urgent = await submit(house, 5, priority=7)
    await house.history.reaches(urgent, "QUEUED")
    assert house.history.event(urgent, "QUEUED")["count"] == 1
    said = await command(house, "CANCEL", others[1])
    assert said == "taken: cancelled before its start (asked by Ada)"
    for request in (first, urgent, others[0], others[2]):
        await house.history.reaches(request, "COMPLETED")
    assert (await house.history.reaches(others[1], "CANCELLED"))[-1] == "CANCELLED"
    one_at_a_time(house, first, urgent, others[0], others[2])
    order = [str(start["record_id"]) for start in house.starts(DEVICE)]
    records = [
        str(house.history.event(request, "STARTING")["record_id"])
        for request in (first, urgent, others[0], others[2])
    ]
    assert order == records, "the urgent one went before those that waited"


async def test_a_queue_survives_a_sigkill_and_a_hold(make_house: BuildHouse) -> None:
    house = await make_house(**QUEUE)
    await house.furnish(DEVICE, scan_seconds=1)
    requests = [await submit(house, number) for number in range(4)]
    await house.history.reaches(requests[0], "RUNNING")
    await house.history.reaches(requests[3], "QUEUED")
    house.workers["w1"].kill()
    await house.start_worker("w1")
    said = await command(house, "HOLD")
    assert said.startswith("taken: the device is on hold")
    held = await submit(house, 9)
    await house.history.reaches(held, "HELD")
    started = len(house.starts(DEVICE))
    house.workers["w1"].kill()
    await house.start_worker("w1")
    last = await submit(house, 10)
    await house.history.reaches(last, "HELD")
    await house.history.reaches(requests[0], "COMPLETED")
    assert len(house.starts(DEVICE)) == started, "a device on hold starts nothing"
    assert (await command(house, "RELEASE")).startswith("taken: the device is released")
    for request in (*requests, held, last):
        await house.history.reaches(request, "COMPLETED", timeout_s=60)
    one_at_a_time(house, *requests, held, last)
