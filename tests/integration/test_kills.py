"""Workers that die, freeze or stop in the middle of their work."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

from models import wire
from tests.integration.conftest import BuildHouse
from tests.integration.house import House, eventually, in_the_end, scan_job

DEVICES = ("mri-1", "mri-2", "mri-3", "mri-4")
ENDS = ("COMPLETED", "FAILED", "UNKNOWN", "HELD")


async def furnished(make_house: BuildHouse, **settings: str) -> House:
    house = await make_house(SCANHUB_RETRY_MOST_S="1", **settings)
    await house.start_managers("integer")
    for device in DEVICES:
        await house.start_device(device, scan_seconds=0.05)
    house.start_reconstruction()
    await house.start_worker("w1")
    await house.history.__aenter__()
    return house


async def send_jobs(house: House, count: int, *, first: int = 0) -> list[str]:
    requests = []
    for number in range(first, first + count):
        device = DEVICES[number % len(DEVICES)]
        request = f"job-{number:04d}-{uuid4().hex[:6]}"
        await house.history.produce(
            wire.SCAN_JOBS, scan_job(device, number + 1), key=device,
            headers={"request-id": request},
        )  # fmt: skip
        requests.append(request)
    return requests


def starts(house: House) -> Counter[str]:
    return Counter(str(s["record_id"]) for device in DEVICES for s in house.starts(device))


async def all_end(house: House, requests: list[str], timeout_s: float = 90) -> dict[str, str]:
    """Wait until each request has an end; gives it."""

    def ends() -> dict[str, str]:
        found: dict[str, str] = {}
        for event in house.history.events:
            state = event.get("state")
            if event["event"] == "STATE_CHANGED" and state in ENDS:
                found[event["request_id"]] = state
        return {request: found[request] for request in requests if request in found}

    try:
        await house.history.until(
            lambda: len(ends()) == len(requests), what="all jobs end", timeout_s=timeout_s
        )
    except AssertionError as error:
        for request in set(requests) - set(ends()):
            error.add_note(what_became_of(house, request))
        raise
    return ends()


def what_became_of(house: House, request: str) -> str:
    """All messages that name a request or its record, for whoever has to find where it stands."""
    events = [e for e in house.history.events if e.get("request_id") == request]
    record = next((str(e["record_id"]) for e in events if e.get("record_id")), None)
    lines = [f"{request} (record {record}) has no end:"]
    for topic, messages in house.history.messages.items():
        for seen in messages:
            text = (seen.value or b"").decode(errors="replace")[:260]
            names = (seen.key or b"").decode(errors="replace"), seen.header.get("request-id")
            if request in names or record in names or request in text:
                lines.append(f"  {topic}-{seen.partition}@{seen.offset} {names} {text}")
    return "\n".join(lines)


def of_requests(records: list[dict[str, Any]]) -> Counter[str]:
    return Counter((record["comment"] or "").split("request ")[-1] for record in records)


async def test_two_kills_in_the_middle_of_200_jobs_lose_and_repeat_nothing(
    make_house: BuildHouse,
) -> None:
    house = await furnished(make_house)
    requests = await send_jobs(house, 100)
    for _ in range(2):
        before = sum(starts(house).values())
        await eventually(lambda b=before: sum(starts(house).values()) >= b + 15, what="work")  # type: ignore[misc]
        house.workers["w1"].kill()
        requests += await send_jobs(house, 50, first=len(requests))
        await house.start_worker("w1")

    ends = await all_end(house, requests)

    assert set(ends.values()) <= {"COMPLETED", "UNKNOWN"}
    started = starts(house)
    assert set(started.values()) == {1}, "a scan was started twice"
    counted = of_requests(await house.records())
    assert set(counted.values()) == {1}
    assert len(counted) == len(requests) == 200
    completed = {r for r, state in ends.items() if state == "COMPLETED"}
    unknown = set(requests) - completed
    assert len(unknown) <= 2 * len(DEVICES), "more than were in flight at the kills"
    for request in completed:
        record = house.history.event(request, "COMPLETED")["record_id"]
        assert started[str(record)] == 1
    for request in unknown:
        event = house.history.event(request, "UNKNOWN")
        assert (event["previous"], bool(event["advice"])) == ("STARTING", True)


async def test_a_stop_under_load_is_clean_and_loses_nothing(make_house: BuildHouse) -> None:
    house = await furnished(make_house)
    requests = await send_jobs(house, 120)
    await eventually(lambda: sum(starts(house).values()) >= 10, what="work")

    code = await asyncio.to_thread(house.workers["w1"].terminate, 15)

    assert code == 0, house.workers["w1"].tail()
    assert len(await all_ends_now(house, requests)) < len(requests), (
        "the stop came too late to show"
    )
    await house.start_worker("w1")
    ends = await all_end(house, requests)
    assert set(ends.values()) == {"COMPLETED"}
    assert set(starts(house).values()) == {1}
    assert set(of_requests(await house.records()).values()) == {1}


async def all_ends_now(house: House, requests: list[str]) -> set[str]:
    return {
        event["request_id"]
        for event in house.history.events
        if event.get("state") == "COMPLETED" and event.get("request_id") in requests
    }


async def test_a_sleeper_that_wakes_does_no_harm(make_house: BuildHouse) -> None:
    """SIGSTOP for longer than the session; the other worker takes over; the sleeper ends (70)."""
    house = await furnished(make_house, SCANHUB_TIDY_S="8")
    await house.start_worker("w2")
    requests = await send_jobs(house, 60)
    await eventually(lambda: sum(starts(house).values()) >= 5, what="work")
    sleeper = house.workers["w1"]
    sleeper.freeze()
    requests += await send_jobs(house, 60, first=60)

    ends = await all_end(house, requests)

    sleeper.thaw()
    code = await asyncio.to_thread(sleeper.wait, 30) if _acts(sleeper) else 70
    assert code == 70
    assert set(ends.values()) <= {"COMPLETED", "UNKNOWN"}
    assert set(starts(house).values()) == {1}

    # Frozen between its last look at the guard and its request's way out, the sleeper may have made a
    # spare record when it woke: it is found and closed after the scan's end.
    async def of_each() -> set[int]:
        return set(of_requests(await house.records()).values())

    await in_the_end(of_each, {1}, what="records of each request")
    states = {request: house.history.states(request) for request in requests}
    more = await send_jobs(house, 4, first=120)
    await all_end(house, more)
    assert all(house.history.states(r) == states[r] for r in requests), "a final state went back"


def _acts(process: Any) -> bool:
    return bool(process.running)


async def test_the_worker_stops_at_once_on_a_wrong_partition_count(make_house: BuildHouse) -> None:
    house = await make_house()
    await house.start_worker("w1")
    other = await house.start_worker("w2", ready=False, SCANHUB_PARTITIONS="6")
    code = await asyncio.to_thread(other.wait, 30)
    assert code == 1
    assert "4 partitions, 6 are set" in other.tail()


async def test_what_faust_loses_on_its_way_is_read_again_without_a_restart(
    make_house: BuildHouse,
) -> None:
    house = await make_house()
    await house.furnish("mri-1", scan_seconds=0.05, app="tests.integration.losing_app")
    for number in range(1, 4):
        await house.history.produce(
            wire.SCAN_JOBS, scan_job("mri-1", number), key="mri-1",
            headers={"request-id": f"lost-{number}"},
        )  # fmt: skip

    ends = await all_end(house, [f"lost-{number}" for number in range(1, 4)])

    assert set(ends.values()) == {"COMPLETED"}
    assert set(starts_of(house, "mri-1")) == {1}
    accepted = [e["request_id"] for e in house.history.events if e.get("state") == "ACCEPTED"]
    assert accepted == ["lost-1", "lost-2", "lost-3"], "the order of a device is kept"
    log = house.workers["w1"].log_file.read_text()
    assert "scan-jobs" in log.partition("read again: ")[2], "the lost one was not lost"


def starts_of(house: House, device: str) -> list[int]:
    return list(Counter(str(start["record_id"]) for start in house.starts(device)).values())
