"""Cases that have bitten others: a scanner that hangs, topics made again, workers that differ."""

import asyncio
import os
import time
from pathlib import Path
from statistics import median
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from models import wire
from streams.localstore import LocalStore
from tests.conftest import create_topic
from tests.integration.conftest import BuildHouse
from tests.integration.house import House, scan_job

CROWD = 1500
"""Jobs that wait for one scanner that hangs; the long run is in bench/ (docs/reliability.md)."""


async def through(house: House, count: int, device: str = "mri-2") -> list[float]:
    """Scan one after the other; gives the seconds from each job to its START."""
    seconds = []
    for number in range(count):
        request, began = uuid4().hex, time.monotonic()
        await house.history.produce(
            wire.SCAN_JOBS, scan_job(device, number + 1), key=device,
            headers={"request-id": request},
        )  # fmt: skip
        await house.history.reaches(request, "STARTED", "RUNNING")
        seconds.append(time.monotonic() - began)
        await house.history.reaches(request, "COMPLETED")
    return seconds


async def test_a_scanner_that_hangs_with_a_crowd_waiting_slows_nobody(
    make_house: BuildHouse,
) -> None:
    house = await make_house()
    await house.furnish("mri-1", "mri-2", scan_seconds=0.05)
    await through(house, 3)
    before = median(await through(house, 5))
    await house.knobs("mri-1", outage="hang")
    sent = [
        house.history.produce(
            wire.SCAN_JOBS, scan_job("mri-1", number + 1), key="mri-1",
            headers={"request-id": f"crowd-{number}"},
        )
        for number in range(CROWD)
    ]  # fmt: skip
    await asyncio.gather(*sent)
    await house.history.until(
        lambda: len({
            e["request_id"] for e in house.history.events
            if e["event"] == "STATE_CHANGED" and e["request_id"].startswith("crowd-")
            and e["state"] in ("READY", "WAITING", "UNKNOWN")
        }) == CROWD,
        what="the crowd waits", timeout_s=90,
    )  # fmt: skip
    during = await through(house, 5)
    # Not a time that is promised: "as before" within what a loaded machine shows.
    assert median(during) < max(10 * before, 2.0), (before, during)
    unknown = [e for e in house.history.events if e.get("state") == "UNKNOWN"]
    assert 0 < len(unknown) < CROWD / 10, "each of them was tried"


async def test_old_request_ids_do_not_swallow_the_jobs_of_a_topic_made_again(
    make_house: BuildHouse,
) -> None:
    """Without a request id the identity is made of the place; the broker's time is part of it."""
    house = await make_house()
    await house.furnish("mri-1", scan_seconds=0.05)
    job = scan_job("mri-1", 5)
    first = await house.history.produce(wire.SCAN_JOBS, job, key="mri-1")

    def completed() -> int:
        return len([e for e in house.history.events if e.get("state") == "COMPLETED"])

    await house.history.until(lambda: completed() == 1, what="the first job")
    await asyncio.to_thread(house.workers["w1"].terminate, 15)
    topic = house.prefix + wire.SCAN_JOBS
    client = AIOKafkaAdminClient(bootstrap_servers=house.kafka.bootstrap)
    await client.start()
    await client.delete_topics([topic])
    await client.close()
    await create_topic(
        house.kafka.bootstrap, topic, 4,
        message_timestamp_type="LogAppendTime", max_message_bytes="1048588",
    )  # fmt: skip
    await house.start_worker("w1")
    again = await house.history.produce(wire.SCAN_JOBS, job, key="mri-1")
    assert (again.partition, again.offset) == (first.partition, first.offset)
    await house.history.until(lambda: completed() == 2, what="the second job")
    assert len(house.starts("mri-1")) == 2


async def test_a_worker_that_reads_other_topics_is_refused_with_a_sentence(
    make_house: BuildHouse,
) -> None:
    house = await make_house()
    await house.start_worker("w1")
    other = await house.start_worker("w2", ready=False, SCANHUB_TOPIC_SCAN_STATUS="statuses")
    assert await asyncio.to_thread(other.wait, 40) == 1
    assert "w1 of this group" in other.tail()
    assert house.workers["w1"].running


@pytest.mark.parametrize("change", ["subscription", "name"])
async def test_a_worker_that_comes_back_changed_reads_everything(
    make_house: BuildHouse, change: str
) -> None:
    house = await make_house()
    await house.furnish("mri-1", scan_seconds=0.05)
    await through(house, 1, "mri-1")
    house.workers["w1"].kill()
    if change == "name":
        await house.start_worker("another-host")
    else:
        await house.start_worker("w1", SCANHUB_TOPIC_SCAN_COMMANDS="more-commands")
    await through(house, 1, "mri-1")


def test_a_local_store_that_was_away_for_too_long_is_made_anew(tmp_path: Path) -> None:
    """Its tombstones are gone from the changelog: deleted rows would come back."""
    fresh, old, unmarked = tmp_path / "fresh", tmp_path / "old", tmp_path / "unmarked"
    for folder in (fresh, old, unmarked):
        folder.mkdir()
        (folder / "rows").write_text("x")
    for folder in (fresh, old):
        (folder / "last-used").touch()
    week_ago = time.time() - 7 * 86_400
    os.utime(old / "last-used", (week_ago, week_ago))
    for folder in (fresh, old, unmarked):
        LocalStore(folder).open()
    assert (fresh / "rows").exists()
    assert not (old / "rows").exists()
    assert not (unmarked / "rows").exists()
