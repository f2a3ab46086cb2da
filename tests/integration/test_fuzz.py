"""Random messages on every input topic: no crash, no stuck partition, every one accounted for."""

import json
import random
from typing import Any

from models import wire
from tests.integration.conftest import BuildHouse
from tests.integration.house import House, scan_job

INPUTS = (
    wire.SCAN_JOBS, wire.SCAN_COMMANDS, wire.SCAN_STATUS, wire.RESULT_UPLOADS, wire.RECO_RESULTS,
    wire.RESULT_REQUESTS, wire.DEVICE_TASKS, wire.DEVICE_STEPS, wire.RECORD_STEPS,
)  # fmt: skip
FIELDS = (
    "id", "record_id", "device_id", "sequence_id", "status_percent", "state", "kind", "location",
    "size", "sha256", "upload_id", "reco_job_id", "success", "files", "request_id", "what",
    "command", "command_id", "started", "scan", "name", "version", "acquisition_limits",
)  # fmt: skip
COUNT = 1500


def rubbish(dice: random.Random, depth: int = 0) -> Any:
    """Make a JSON value of any kind."""
    atoms = [
        None, True, False, dice.randint(-5, 5), 10**30, 1.5, 1e308, "", "x" * 300, "\x00", "42",
        "mri-9", "../../etc", "a" * 64, "START", "scan", "CONFIRM", "\U0001f9f2",
    ]  # fmt: skip
    if depth > 3 or dice.random() < 0.7:
        return dice.choice(atoms)
    if dice.random() < 0.5:
        return [rubbish(dice, depth + 1) for _ in range(dice.randint(0, 4))]
    return {dice.choice(FIELDS): rubbish(dice, depth + 1) for _ in range(dice.randint(0, 6))}


def message(dice: random.Random) -> bytes | None:
    kind = dice.random()
    if kind < 0.1:
        return None
    if kind < 0.3:
        return dice.randbytes(dice.randint(0, 400))
    body = {dice.choice(FIELDS): rubbish(dice) for _ in range(dice.randint(0, 9))}
    raw = json.dumps(body).encode()
    return raw if kind < 0.9 else raw[: dice.randint(0, len(raw))]


async def test_nothing_that_a_sender_writes_stops_a_partition(make_house: BuildHouse) -> None:
    house: House = await make_house()
    await house.furnish("mri-1", scan_seconds=0.05)
    dice = random.Random(20261125)  # noqa: S311 - must repeat
    for number in range(COUNT):
        topic = dice.choice(INPUTS)
        key = dice.choice(("mri-1", "1", "42", "no such", ""))
        await house.history.produce(
            topic, message(dice), key=key, partition=dice.randrange(4),
            headers={"mark": f"fuzz-{number}"},
        )  # fmt: skip

    def buried() -> set[str]:
        return {m.header.get("mark", "") for m in house.history.messages[wire.DEAD_LETTERS]}

    # Nearly all of it is of no use; what is by chance (a step that says nothing, a status that
    # waits for its record) is settled as such. The good job behind it goes through on each partition.
    requests = []
    for number in range(8):
        request = f"after-{number}"
        await house.history.produce(
            wire.SCAN_JOBS, scan_job("mri-1", 900 + number), key="mri-1",
            partition=number % 4, headers={"request-id": request},
        )  # fmt: skip
        requests.append(request)
    for request in requests:
        await house.history.reaches(request, "COMPLETED", timeout_s=60)
    await house.history.until(lambda: len(buried()) > COUNT * 0.9, what="the rubbish is buried")
    assert house.workers["w1"].running
    causes = {m.header["scanhub.cause"] for m in house.history.messages[wire.DEAD_LETTERS]}
    assert "internal" not in causes, "a bug was met"
    assert len(house.starts("mri-1")) == len(requests)
