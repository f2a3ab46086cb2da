"""Outages on real processes: broker, managers, a device and the disk are away when it matters."""

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import pytest

from models import wire
from sandbox.chaos.disk import Disk
from sandbox.kafka import EmbeddedKafka
from tests.conftest import start_or_skip
from tests.integration.conftest import BuildHouse
from tests.integration.house import House, eventually, scan_job
from tests.integration.port import Port, because, is_ready

QUICK = {
    "SCANHUB_CACHE_S": "0",
    "SCANHUB_HTTP_TIMEOUT_S": "1",
    "SCANHUB_RETRY_FIRST_S": "0.2",
    "SCANHUB_RETRY_MOST_S": "1",
}
MANAGERS = {"device": "device manager", "sequence": "sequence manager", "exam": "exam manager"}
ROUNDS = 4
"""So often the nine are raced against a START that hangs: on a loaded machine one may be lost."""


async def submit(house: House, device: str, number: int) -> str:
    request = f"o{number}-{uuid4().hex[:8]}"
    await house.history.produce(
        wire.SCAN_JOBS, scan_job(device, number), key=device, headers={"request-id": request}
    )
    return request


def outages(house: House, manager: str) -> list[dict[str, Any]]:
    """Give what was announced of a manager, in order."""
    return [event for event in house.history.events if event.get("manager") == manager]


async def told(house: House, manager: str, count: int) -> None:
    """Wait until so many events were announced of a manager."""
    await house.history.until(
        lambda: len(outages(house, manager)) == count, what=f"{count} events of the {manager}"
    )


def tell(text: str) -> None:
    """Say a time, for people (`pytest -rP`); nothing is promised of it."""
    sys.stdout.write(f"{text}\n")


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    kafka = EmbeddedKafka(tmp_path / "kafka")
    start_or_skip(kafka)
    yield kafka
    if kafka.running:
        kafka.thaw()
        kafka.stop()


@pytest.mark.broker
async def test_a_worker_waits_for_the_broker_and_says_when_it_is_lost(
    own_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with House(own_kafka, tmp_path / "house", f"h{uuid4().hex[:8]}.", **QUICK) as house:
        port = Port(house)
        await house.start_managers("integer")
        await house.start_device("mri-1")
        await asyncio.to_thread(own_kafka.stop)
        worker = await house.start_worker("w1", ready=False, **port.settings)
        await asyncio.to_thread(worker.wait_for_line, "no broker answers yet", 40)
        status, body = await port.ready()
        assert (status, body["reason"].split(":")[0]) == (503, "no broker answers yet")
        assert await port.get("/health/live") == (200, '{"status": "ok"}')

        await asyncio.to_thread(own_kafka.start)
        began = time.monotonic()
        await asyncio.to_thread(worker.wait_for_line, "Worker ready", 40)
        await port.becomes(is_ready, what="ready once the broker is there")
        tell(f"at work {time.monotonic() - began:.1f} s after the broker's return")
        house.start_reconstruction()
        await house.history.__aenter__()
        await house.history.reaches(await submit(house, "mri-1", 1), "COMPLETED", timeout_s=40)
        log = worker.log_file.read_text()
        assert (log.count("no broker answers yet"), log.count("Unable connect")) == (1, 0)
        assert float(await port.metric("scanhub_broker_heartbeat_age_seconds")) < 7

        await asyncio.to_thread(own_kafka.freeze)
        await port.becomes(because("the broker has not answered"), what="not ready without it")
        await asyncio.to_thread(own_kafka.thaw)


async def test_jobs_wait_while_a_manager_is_away_and_the_outage_is_told_once(
    make_house: BuildHouse,
) -> None:
    house = await make_house(**QUICK, SCANHUB_START_MAX_AGE_S="8")
    port = Port(house)
    house.settings |= port.settings
    await house.furnish("mri-1", "mri-2", "mri-3")
    await house.knobs("exam", outage="hang")
    old = list(await asyncio.gather(*(submit(house, f"mri-{1 + n % 3}", n + 1) for n in range(6))))
    for request in old:
        await house.history.reaches(request, "WAITING")
    await told(house, "exam manager", 1)
    assert outages(house, "exam manager")[0]["count"] == len(old)
    status, body = await port.ready()
    assert status == 200, "the worker itself is well"
    assert [one["manager"] for one in body["outages"]] == ["exam manager"]
    assert await port.metric('scanhub_manager_away{manager="exam manager"}') == "1.0"
    seen = datetime.fromisoformat(house.history.event(old[-1], "ACCEPTED")["at"]).timestamp()
    await eventually(lambda: time.time() - seen > 9, what="they are older than they may be")
    assert all(house.history.states(request)[-1] == "WAITING" for request in old)
    young = await submit(house, "mri-1", 9)
    # The job may just wait behind the others, or be refused by the breaker.
    await house.history.reaches(young, "WAITING")

    await house.knobs("exam")

    for request in old:
        assert (await house.history.reaches(request, "HELD"))[-1] == "HELD"
    await house.history.reaches(young, "COMPLETED")
    await told(house, "exam manager", 2)
    assert [event["state"] for event in outages(house, "exam manager")] == ["WAITING", "ACCEPTED"]
    assert not [e for e in house.history.events if e.get("state") == "FAILED"]
    assert all(len(house.starts(f"mri-{n}")) == (1 if n == 1 else 0) for n in (1, 2, 3))
    await port.becomes(is_ready, what="nothing is away any more")
    assert await port.metric('scanhub_manager_away{manager="exam manager"}') == "0.0"
    log = house.workers["w1"].log_file.read_text()
    assert log.count("the exam manager is away") == 1, "one line, however long"
    assert "look is overlapping" not in log, "Faust tells of each probe that takes long"


async def test_a_worker_starts_while_all_managers_are_away(make_house: BuildHouse) -> None:
    house = await make_house(**QUICK)
    await house.start_managers("integer")
    await house.start_device("mri-1")
    for service in MANAGERS:
        await house.knobs(service, outage="refuse")
    await house.start_worker("w1")
    house.start_reconstruction()
    await house.history.__aenter__()
    request = await submit(house, "mri-1", 1)
    await house.history.reaches(request, "WAITING")
    asked = [MANAGERS[service] for service in ("device", "sequence")]
    for manager in asked:
        await told(house, manager, 1)
    for service in MANAGERS:
        await house.knobs(service)
    began = time.monotonic()
    await house.history.reaches(request, "STARTED", "RUNNING", "ACQUIRED")
    tell(f"at work {time.monotonic() - began:.1f} s after the managers' return")
    await house.history.reaches(request, "COMPLETED")
    for manager in asked:
        await told(house, manager, 2)
    assert outages(house, "exam manager") == [], "nobody had asked it"


async def test_a_dead_device_slows_none_of_nine_others(make_house: BuildHouse) -> None:
    """While a START to the dead one hangs, all of the nine are started."""
    house = await make_house(**{**QUICK, "SCANHUB_HTTP_TIMEOUT_S": "5"})
    alive = [f"mri-{n}" for n in range(1, 10)]
    await house.furnish("dead", *alive, scan_seconds=0.1)
    await _starts(house, alive, 100)  # the first ones are slower
    without = await _starts(house, alive, 120)
    await house.knobs("dead", outage="hang")
    for number in range(20):
        await submit(house, "dead", 200 + number)
    hanging: set[str] = set()
    for number in range(ROUNDS):
        request = await house.history.until(
            lambda: next(iter(_states_of(house, "dead", "STARTING") - hanging), None),
            what="a START to the dead device",
            timeout_s=60,
        )
        hanging.add(request)
        beside = await _starts(house, alive, 300 + 20 * number)
        if house.history.states(request)[-1] == "STARTING":
            break
    assert house.history.states(request)[-1] == "STARTING", "it held the others up"
    assert all(_in_order(house, alive))
    tell(
        f"job to START, nine devices, median: {median(without):.3f} s without,"
        f" {median(beside):.3f} s beside a dead one"
    )


def _states_of(house: House, device: str, state: str) -> set[str]:
    return {
        event["request_id"]
        for event in house.history.events
        if event.get("device_id") == device and event.get("state") == state
    }


async def _starts(house: House, devices: list[str], number: int) -> list[float]:
    """Submit a job for each device at once; gives how long each took until it was started."""

    async def one(device: str, job: int) -> float:
        began = time.monotonic()
        request = await submit(house, device, job)
        await house.history.reaches(request, "STARTED", "RUNNING", "ACQUIRED")
        return time.monotonic() - began

    return await asyncio.gather(*(one(device, number + n) for n, device in enumerate(devices)))


def _in_order(house: House, devices: list[str]) -> list[bool]:
    """Tell of each device whether it was started once for each record, in their order."""
    started = [[int(s["record_id"]) for s in house.starts(one)] for one in devices]
    return [ids == sorted(set(ids)) for ids in started]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "small")
    disk.mount()
    if disk.why_not:
        pytest.skip(disk.why_not)
    yield disk
    disk.unmount()


async def test_files_wait_for_room_on_the_disk(make_house: BuildHouse, small_disk: Disk) -> None:
    house = await make_house(**QUICK, SCANHUB_DISK_FREE_MB="500")
    port = Port(house)
    house.settings |= port.settings
    house.lake = small_disk.folder
    ballast = small_disk.folder / "ballast"
    ballast.write_bytes(bytes(20 * 1024 * 1024))
    await house.furnish("mri-1")
    request = await submit(house, "mri-1", 1)

    def retrying() -> list[dict[str, Any]]:
        return [
            event for event in house.history.events
            if event["event"] == "RETRYING" and event.get("request_id") == request
        ]  # fmt: skip

    await house.history.until(retrying, what="the upload waits")
    assert "500 MiB are to stay free" in retrying()[0]["cause"]
    await port.becomes(because("less than SCANHUB_DISK_FREE_MB=500"), what="it says why not")
    assert int(float(await port.metric("scanhub_disk_free_bytes"))) < 500 * 1024 * 1024
    record = retrying()[0]["record_id"]
    copies = [path for path in (house.lake / "records" / str(record)).glob("*") if path.is_file()]
    assert copies == []
    assert "ACQUIRED" not in house.history.states(request)

    ballast.unlink()

    await house.history.reaches(request, "COMPLETED")
    assert len(retrying()) == 1, "told once, however often it was tried"
    await port.becomes(is_ready, what="there is room")
