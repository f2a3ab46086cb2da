"""Managers that are away, slow, wrong, or take a request and say nothing."""

from typing import Any
from uuid import uuid4

from models import wire
from tests.integration.house import House, eventually, scan_job


async def ask(house: House, device: str = "mri-1", job: int = 17) -> str:
    request = uuid4().hex
    await house.history.produce(
        wire.SCAN_JOBS, scan_job(device, job), key=device, headers={"request-id": request}
    )
    return request


def of(records: list[dict[str, Any]], request: str) -> list[dict[str, Any]]:
    return [record for record in records if request in (record["comment"] or "")]


async def test_a_manager_that_is_away_for_20_s_costs_no_job(fragile: House) -> None:
    await fragile.knobs("exam", outage="500")
    requests = [await ask(fragile, f"mri-{1 + n % 2}", 40 + n) for n in range(10)]
    for request in requests:
        assert "WAITING" in await fragile.history.reaches(request, "WAITING")

    def away_for_20_s() -> bool:
        asked = [entry["wall"] for entry in fragile.requests("exam") if entry["status"] == 500]
        return bool(asked) and asked[-1] - asked[0] >= 20

    await eventually(away_for_20_s, what="20 s of vain attempts", timeout_s=60)
    assert all(fragile.history.states(r)[-1] == "WAITING" for r in requests)

    await fragile.knobs("exam")

    for request in requests:
        assert (await fragile.history.reaches(request, "COMPLETED"))[-1] == "COMPLETED"
    records = await fragile.records()
    assert all(len(of(records, request)) == 1 for request in requests)
    # Their order at the scanner is that of the jobs.
    for device in ("mri-1", "mri-2"):
        ids = [s["record_id"] for s in fragile.starts(device)]
        assert [int(i) for i in ids] == sorted(int(i) for i in ids)


async def test_a_manager_that_fails_for_one_job_alone_fails_that_job(fragile: House) -> None:
    rule = {"method": "GET", "path": "*/record/all/66", "outage": "500"}
    create = {"method": "POST", "path": "*/record", "errors": 1}
    await fragile.knobs("exam", rules=[rule, create])
    bad = await ask(fragile, "mri-1", 66)
    behind = await ask(fragile, "mri-1", 67)
    await fragile.history.reaches(bad, "FAILED")
    assert "alone" in fragile.history.event(bad, "FAILED")["cause"]
    await fragile.knobs("exam")
    await fragile.history.reaches(behind, "COMPLETED")
    assert len(of(await fragile.records(), bad)) == 0


async def test_a_record_whose_answer_was_lost_is_adopted(fragile: House) -> None:
    rule = {"method": "POST", "path": "*/record", "drop_after": 1}
    await fragile.knobs("exam", rules=[rule])
    request = await ask(fragile, "mri-1", 50)
    await fragile.history.reaches(request, "COMPLETED")
    assert len(of(await fragile.records(), request)) == 1
    assert [
        e for e in fragile.history.events
        if e["event"] == "ADOPTED" and e.get("request_id") == request
    ]  # fmt: skip
    await fragile.knobs("exam")


async def test_a_manager_that_answers_too_late_is_asked_again(fragile: House) -> None:
    rule = {"method": "POST", "path": "*/record", "hang_after": 1}
    await fragile.knobs("exam", rules=[rule])
    request = await ask(fragile, "mri-1", 51)
    await fragile.history.reaches(request, "COMPLETED")
    assert len(of(await fragile.records(), request)) == 1
    await fragile.knobs("exam")


async def test_a_scanner_that_takes_the_start_and_never_answers_is_unknown(fragile: House) -> None:
    await fragile.knobs("mri-2", outage="hang")
    request = await ask(fragile, "mri-2", 52)
    states = await fragile.history.reaches(request, "UNKNOWN")
    # Its acceptance is on another key, so it may be read later.
    assert [s for s in states if s != "ACCEPTED"][-2:] == ["STARTING", "UNKNOWN"]
    event = fragile.history.event(request, "UNKNOWN")
    assert "scanner" in event["advice"]
    await fragile.knobs("mri-2")
    after = await ask(fragile, "mri-2", 53)
    await fragile.history.reaches(after, "COMPLETED")
    assert fragile.history.states(request)[-1] == "UNKNOWN"


async def test_a_status_settles_an_unknown_scan(fragile: House) -> None:
    await fragile.knobs("mri-2", hang_after=1)
    request = await ask(fragile, "mri-2", 54)
    states = await fragile.history.reaches(request, "COMPLETED")
    record = fragile.history.event(request, "COMPLETED")["record_id"]
    starts = [s for s in fragile.starts("mri-2") if str(s["record_id"]) == str(record)]
    assert len(starts) == 1
    assert states[-1] == "COMPLETED"
    await fragile.knobs("mri-2")


async def test_a_scanner_that_is_off_gets_its_jobs_in_order_when_it_is_on(fragile: House) -> None:
    await fragile.knobs("mri-2", outage="refuse")
    requests = [await ask(fragile, "mri-2", 60 + n) for n in range(4)]
    await fragile.history.until(
        lambda: [
            e for e in fragile.history.events
            if e.get("request_id") == requests[0] and e.get("previous") == "STARTING"
        ],
        what="the first is refused",
    )  # fmt: skip
    await fragile.knobs("mri-2")
    records = []
    for request in requests:
        await fragile.history.reaches(request, "COMPLETED")
        records.append(str(fragile.history.event(request, "COMPLETED")["record_id"]))
    started = [str(s["record_id"]) for s in fragile.starts("mri-2")]
    assert [r for r in started if r in records] == records


async def test_a_scanner_that_says_no_fails_the_scan(fragile: House) -> None:
    await fragile.knobs("mri-2", answer_status=409)
    request = await ask(fragile, "mri-2", 70)
    await fragile.history.reaches(request, "FAILED")
    assert "not started" in fragile.history.event(request, "FAILED")["cause"]
    await fragile.knobs("mri-2")
