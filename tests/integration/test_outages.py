"""Outages on real processes: the broker, managers and a device that are away when it matters."""

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from models import wire
from sandbox.kafka import EmbeddedKafka
from tests.integration.conftest import BuildHouse
from tests.integration.house import House, eventually, scan_job

QUICK = {
    "SCANHUB_CACHE_S": "0",
    "SCANHUB_HTTP_TIMEOUT_S": "1",
    "SCANHUB_RETRY_FIRST_S": "0.2",
    "SCANHUB_RETRY_MOST_S": "1",
}


async def submit(house: House, device: str, number: int) -> str:
    request = f"o{number}-{uuid4().hex[:8]}"
    await house.history.produce(
        wire.SCAN_JOBS, scan_job(device, number), key=device, headers={"request-id": request}
    )
    return request


def outages(house: House, manager: str) -> list[dict[str, Any]]:
    """Give what was announced of a manager, in order."""
    return [event for event in house.history.events if event.get("manager") == manager]


async def test_a_worker_starts_while_no_broker_is_there_and_works_when_it_is(
    tmp_path: Path,
) -> None:
    kafka = EmbeddedKafka(tmp_path / "kafka")
    async with House(kafka, tmp_path / "house", f"h{uuid4().hex[:8]}.", **QUICK) as house:
        await asyncio.to_thread(kafka.start)
        await house.start_managers("integer")
        await house.start_device("mri-1")
        await asyncio.to_thread(kafka.stop)
        process = await house.start_worker("w1", ready=False)
        await asyncio.to_thread(process.wait_for_line, "no broker answers yet", 20)
        await asyncio.to_thread(kafka.start)
        try:
            await asyncio.to_thread(process.wait_for_line, "Worker ready", 40)
            await house.history.__aenter__()
            request = await submit(house, "mri-1", 1)
            await house.history.reaches(request, "STARTED", "RUNNING", "ACQUIRED")
            said = process.log_file.read_text().count("no broker answers yet")
            assert said == 1, "it says so once"
        finally:
            await asyncio.to_thread(kafka.stop)


async def test_jobs_wait_while_a_manager_is_away_and_the_outage_is_told_once(
    make_house: BuildHouse,
) -> None:
    house = await make_house(**QUICK, SCANHUB_START_MAX_AGE_S="8", SCANHUB_WEB_PORT="17066")
    await house.furnish("mri-1", "mri-2", "mri-3")
    await house.knobs("exam", outage="refuse")
    old = [await submit(house, f"mri-{n}", n) for n in (1, 2, 3)]
    for request in old:
        await house.history.reaches(request, "WAITING")
    await house.history.until(lambda: outages(house, "exam manager"), what="the outage is told")
    assert outages(house, "exam manager")[0]["count"] == 3
    async with httpx.AsyncClient(trust_env=False) as http:
        ready = await http.get("http://127.0.0.1:17066/health/ready")
        assert ready.status_code == 200, "the worker itself is well"
        assert [one["manager"] for one in ready.json()["outages"]] == ["exam manager"]
        metrics = await http.get("http://127.0.0.1:17066/metrics")
        assert 'scanhub_manager_away{manager="exam manager"} 1.0' in metrics.text
    seen = datetime.fromisoformat(house.history.event(old[-1], "ACCEPTED")["at"]).timestamp()
    await eventually(
        lambda: time.time() - seen > 10, what="they are older than they may be", timeout_s=30
    )
    assert all(house.history.states(request)[-1] == "WAITING" for request in old)
    young = await submit(house, "mri-1", 9)

    await house.knobs("exam")

    for request in old:
        assert (await house.history.reaches(request, "HELD", timeout_s=15))[-1] == "HELD"
    await house.history.reaches(young, "COMPLETED")
    await house.history.until(
        lambda: len(outages(house, "exam manager")) == 2, what="its end is told"
    )
    assert [event["state"] for event in outages(house, "exam manager")] == ["WAITING", "ACCEPTED"]
    assert not [e for e in house.history.events if e.get("state") == "FAILED"]


async def test_a_worker_starts_while_all_managers_are_away(make_house: BuildHouse) -> None:
    house = await make_house(**QUICK)
    await house.start_managers("integer")
    await house.start_device("mri-1")
    for service in ("exam", "device", "sequence"):
        await house.knobs(service, outage="refuse")
    await house.start_worker("w1")
    await house.history.__aenter__()
    request = await submit(house, "mri-1", 1)
    await house.history.reaches(request, "WAITING")
    await house.history.until(lambda: outages(house, "device manager"), what="outages are told")
    for service in ("exam", "device", "sequence"):
        await house.knobs(service)
    await house.history.reaches(request, "STARTED", "RUNNING", "ACQUIRED", timeout_s=20)


async def test_a_dead_device_slows_none_of_nine_others(make_house: BuildHouse) -> None:
    """While the dead one's first START hangs, all of the nine are started."""
    house = await make_house(**{**QUICK, "SCANHUB_HTTP_TIMEOUT_S": "5"})
    alive = [f"mri-{n}" for n in range(1, 10)]
    await house.furnish("dead", *alive, scan_seconds=0.1)
    await _starts(house, alive, 100)
    await house.knobs("dead", outage="hang")
    hanging = [await submit(house, "dead", 200 + n) for n in range(20)]
    await house.history.reaches(hanging[0], "STARTING")
    await _starts(house, alive, 300)
    states = house.history.states(hanging[0])
    assert states[-1] == "STARTING", "it still hangs, and the nine are done"


async def _starts(house: House, devices: list[str], number: int) -> None:
    """Submit a job for each device, and wait until all were started."""
    requests = [await submit(house, one, number + n) for n, one in enumerate(devices)]
    for request in requests:
        await house.history.reaches(request, "STARTED", "RUNNING", "ACQUIRED")
