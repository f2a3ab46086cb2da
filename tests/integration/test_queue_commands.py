"""What people type to see and to steer the queue, against real workers."""

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from models import wire
from sandbox.kafka import EmbeddedKafka
from tests.integration.house import ROOT, House, eventually, scan_job

DEVICE = "mri-1"


@pytest_asyncio.fixture(scope="module")
async def busy(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Give a house whose one scanner runs a scan for as long as the test needs."""
    folder = tmp_path_factory.mktemp("busy")
    prefix = f"h{uuid4().hex[:8]}."
    async with House(kafka, folder, prefix, SCANHUB_SCANS_PER_DEVICE="1") as house:
        await house.furnish(DEVICE, scan_seconds=600)
        yield house


async def submit(house: House, number: int, **fields: int) -> str:
    request = f"t{number}-{uuid4().hex[:8]}"
    await house.history.produce(
        wire.SCAN_JOBS, scan_job(DEVICE, number, **fields), key=DEVICE,
        headers={"request-id": request},
    )  # fmt: skip
    return request


async def test_people_see_and_steer_the_queue(busy: House) -> None:
    house = busy
    running = await submit(house, 1)
    await house.history.reaches(running, "RUNNING")
    record = str(house.history.event(running, "RUNNING")["record_id"])
    first, second = await submit(house, 2), await submit(house, 3)
    await house.history.reaches(second, "QUEUED")

    code, said = await house.command("queue", DEVICE)
    assert code == 0, said
    lines = said.splitlines()
    assert lines[0] == f"{DEVICE}: 1 running, 2 waiting"
    assert lines[1].split()[:3] == ["place", "state", "job"]
    assert record in lines[2]
    assert running in lines[2]
    assert [first in lines[3], second in lines[4]] == [True, True]
    code, said = await house.command("queue", "--json")
    assert [one["request_id"] for one in json.loads(said)["waiting"]] == [first, second]

    code, said = await house.command("stop", record, "--by", "Ada")
    assert (code, said.splitlines()[0]) == (
        1,
        "this device takes no STOP: nothing was done (asked by Ada)",
    )
    code, said = await house.command("pause", second, "--by", "Ada")
    assert (code, said.startswith("taken: it is held")) == (0, True), said
    code, said = await house.command("release", second)
    assert (code, said.startswith("taken: it goes on")) == (0, True), said
    code, said = await house.command("cancel", first, "--by", "Ada")
    assert (code, said.startswith("taken: cancelled")) == (0, True), said
    code, said = await house.command("cancel", first, "--device", DEVICE)
    assert (code, said.startswith("the scan is CANCELLED: nothing was done")) == (1, True), said
    code, said = await house.command("cancel", "no-such-request")
    assert code == 3, said

    code, said = await house.command("hold", DEVICE, "--by", "Ada")
    assert (code, said.startswith("taken: the device is on hold, 1 job waits")) == (0, True), said
    code, said = await house.command("queue", DEVICE)
    assert "ON HOLD by Ada" in said.splitlines()[0]
    code, said = await house.command("release", DEVICE)
    assert (code, said.startswith("taken: the device is released")) == (0, True), said


async def test_a_job_is_named_by_its_request_or_its_record(busy: House) -> None:
    house = busy
    await submit(house, 11)
    job = await submit(house, 12)
    await house.history.reaches(job, "QUEUED")

    code, said = await house.command("status", job)
    assert code == 0, said
    assert f" of {DEVICE}" in said
    assert "QUEUED" in said

    code, said = await house.command("hold", job, "--by", "Ada")
    assert (code, said.startswith("taken: it is held")) == (0, True), said
    code, said = await house.command("queue", DEVICE)
    assert "ON HOLD" not in said.splitlines()[0], "the job is held, not its device"
    assert "`release REQUEST`" in said
    code, said = await house.command("release", "--request", job, "--device", DEVICE)
    assert (code, said.startswith("taken: it goes on")) == (0, True), said

    code, said = await house.command("hold", "a-typing-error")
    assert code == 0, said
    assert "a-typing-error is taken for a device" in said
    code, said = await house.command("release", "--device", "a-typing-error")
    assert (code, said.startswith("taken: the device is released")) == (0, True), said


async def test_what_goes_on_is_told_and_drawn(busy: House) -> None:
    house = busy
    await submit(house, 21)
    waits, gone = await submit(house, 22), await submit(house, 23)
    await house.history.reaches(gone, "QUEUED")
    [start] = await house.history.until(lambda: house.starts(DEVICE), what="one scan runs")
    record = start["record_id"]
    code, said = await house.command("cancel", gone)
    assert code == 0, said

    code, said = await house.command("watch", "--for", "4")
    assert code == 0, said
    assert f"record {record}" in said
    assert "CANCELLED" in said
    assert "command answered" in said
    drawn = await _at_a_terminal(house, "watch", "--for", "4")
    assert f"record {record}" in drawn
    assert "its device is busy" in drawn
    assert waits in drawn


async def _at_a_terminal(house: House, *arguments: str) -> str:
    """Run a command in a pseudo terminal; gives what it drew."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "faust", "-A", "faust_app", *arguments,
        cwd=ROOT, env=house.env("w1", COLUMNS="120", LINES="40", TERM="xterm"),
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    os.set_blocking(ours, False)
    drawn = bytearray()

    def read() -> bool:
        try:
            drawn.extend(os.read(ours, 65_536))
        except BlockingIOError:
            pass
        except OSError:
            return True  # the other end is closed
        return process.returncode is not None

    await eventually(read, what="the command ends", timeout_s=30)
    os.close(ours)
    return drawn.decode("utf-8", "replace")
