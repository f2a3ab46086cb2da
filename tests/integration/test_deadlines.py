"""Deadlines on a real broker: a silent scanner is seen, and a worker that was away accuses nobody."""

import asyncio
from typing import Any
from uuid import uuid4

from models import wire
from tests.integration.conftest import BuildHouse
from tests.integration.house import House
from tests.integration.test_managers_away import ask

DEVICE = "mri-1"
LIMIT_S = 4
BACKLOG = 2500
"""Messages on each topic that lie before those of the healthy scans: seconds of work."""


def limits(seconds: float) -> dict[str, str]:
    names = ("FIRST_STATUS_S", "SILENCE_S", "RECONSTRUCTION_S")
    return {f"SCANHUB_{name}": str(seconds) for name in names}


def events(house: House, kind: str, request: str | None = None) -> list[dict[str, Any]]:
    return [
        event
        for event in house.history.events
        if event["event"] == kind and request in (None, event.get("request_id"))
    ]


async def command(house: House, kind: str, record: int) -> str:
    """Send a command to a record and wait for its answer; gives the answer's sentence."""
    command_id = uuid4().hex
    body = {
        "command_id": command_id, "command": kind, "device_id": DEVICE, "record_id": record,
        "by": "Ada",
    }  # fmt: skip
    await house.history.produce(wire.SCAN_COMMANDS, body, key=DEVICE)

    def answers() -> list[dict[str, Any]]:
        answered = events(house, "COMMAND_ANSWERED")
        return [event for event in answered if event.get("command_id") == command_id]

    [answer] = await house.history.until(answers, what=f"{kind} is answered")
    return str(answer["cause"])


async def test_a_silent_scanner_is_announced_once_and_a_person_ends_its_scan(
    make_house: BuildHouse,
) -> None:
    house = await make_house(**limits(1))
    await house.start_managers("integer")
    await house.start_device(DEVICE)
    await house.start_worker("w1")
    await house.history.__aenter__()
    await house.knobs(DEVICE, silent=True, upload=False)
    silent = await ask(house, DEVICE)
    await house.history.reaches(silent, "STARTED")
    record = house.history.event(silent, "STARTED")["record_id"]
    early = await command(house, "CANCEL", record)
    assert early == "this device takes no CANCEL: nothing was done (asked by Ada)"
    [event] = await house.history.until(
        lambda: events(house, "OVERDUE", silent), what="its silence is announced"
    )
    assert (event["state"], event["count"]) == ("STARTED", 1)
    assert event["cause"] == "no status for 1 s"
    # Another one becomes overdue meanwhile: more than the limit passes, and nothing is said again.
    other = await ask(house, DEVICE)
    await house.history.until(lambda: events(house, "OVERDUE", other), what="so is another's")
    assert len(events(house, "OVERDUE", silent)) == 1
    said = await command(house, "CANCEL", record)
    assert said.startswith("taken: the scan is CANCELLED")
    assert (await house.history.reaches(silent, "CANCELLED"))[-1] == "CANCELLED"
    status = {"record_id": record, "status_percent": 40}
    await house.history.produce(wire.SCAN_STATUS, status, key=str(record))
    await house.history.until(lambda: events(house, "LATE", silent), what="its status is late")
    assert house.history.states(silent)[-1] == "CANCELLED"


async def test_a_worker_that_was_away_for_longer_than_all_limits_accuses_no_healthy_scan(
    make_house: BuildHouse,
) -> None:
    house = await make_house(**limits(LIMIT_S), SCANHUB_PARTITIONS="1")
    await house.start_managers("integer")
    await house.start_device(DEVICE, scan_seconds=0.1)
    await house.start_worker("w1")
    await house.history.__aenter__()
    reconstructed = await ask(house, DEVICE)
    await house.history.reaches(reconstructed, "RECONSTRUCTING")
    await house.knobs(DEVICE, scan_seconds=LIMIT_S + 1)
    scanned = await ask(house, DEVICE)
    await house.history.reaches(scanned, "RUNNING")

    house.workers["w1"].kill()
    # One key: its messages are handled one after the other, and the scans' own lie behind them.
    topics = (wire.SCAN_STATUS, wire.RESULT_UPLOADS, wire.RECO_RESULTS)
    await asyncio.gather(
        *(
            house.history.produce(topic, b"{}", key="backlog")
            for _ in range(BACKLOG)
            for topic in topics
        )
    )
    house.start_reconstruction()
    messages = house.history.messages
    await house.history.until(
        lambda: (
            len(messages[wire.RECO_RESULTS]) > BACKLOG
            and len(messages[wire.RESULT_UPLOADS]) > BACKLOG + 1
        ),
        what="the image of the one and the data of the other are there, unread",
    )
    assert house.history.states(scanned)[-1] == "RUNNING"

    await house.start_worker("w1")
    for request in (reconstructed, scanned):
        await house.history.reaches(request, "COMPLETED", timeout_s=40)
    assert events(house, "OVERDUE") == []
