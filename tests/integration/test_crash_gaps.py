"""A crash between any two steps of taking a result in ends as no crash does.

One test for each gap: copied, linked, table, RecoJob, event, row, of the raw data (the first time) and
of the image (the second). tests/integration/crash_app.py is the worker that dies there.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from hashlib import sha256
from uuid import uuid4

import pytest
import pytest_asyncio

from models import wire
from sandbox.kafka import EmbeddedKafka
from tests.integration.house import House, scan_job

GAPS = ["copied", "linked", "table", "reco-job", "event", "row", "finished"]
CRASHES = [f"{gap}:{time}" for gap in GAPS for time in (1, 2) if (gap, time) != ("reco-job", 2)]


@pytest_asyncio.fixture(scope="module")
async def gap_house(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """A house whose worker dies where a file tells it to."""
    async with House(kafka, tmp_path_factory.mktemp("gaps"), f"h{uuid4().hex[:8]}.") as house:
        house.settings["CRASH_FILE"] = str(house.folder / "crash-at")
        await house.furnish("mri-1", app="tests.integration.crash_app")
        yield house


@pytest.mark.parametrize("crash_at", CRASHES)
async def test_a_crash_in_a_gap_ends_as_no_crash(gap_house: House, crash_at: str) -> None:
    house, request = gap_house, f"gap-{crash_at.replace(':', '-')}"
    (house.folder / "crash-at").write_text(crash_at)
    await house.history.produce(
        wire.SCAN_JOBS, scan_job("mri-1"), key="mri-1", headers={"request-id": request}
    )

    worker = house.workers["w1"]
    assert await asyncio.to_thread(worker.wait, 40) == 137, worker.tail()
    await house.start_worker("w1", app="tests.integration.crash_app")
    states = await house.history.reaches(request, "COMPLETED")

    assert states[-3:] == ["ACQUIRED", "RECONSTRUCTING", "COMPLETED"]
    record = house.history.event(request, "COMPLETED")["record_id"]
    mine = [e for e in house.history.events if e.get("record_id") == record]
    # A status that is delivered again after the end is late; a file must not be.
    kinds = Counter(e["event"] for e in mine if e["event"] != "LATE" or e.get("files"))
    assert (kinds["RESULT_REGISTERED"], kinds["LATE"], kinds["CONFLICT"]) == (2, 0, 0)
    files = [file for e in mine if e["event"] == "RESULT_REGISTERED" for file in e["files"]]
    for file in files:
        assert sha256((house.lake / file["location"]).read_bytes()).hexdigest() == file["sha256"]
    folder = house.lake / "records" / str(record)
    # What begins with a dot is nobody's result, and is swept (datalake/copying.py).
    ours = {path.name for path in folder.iterdir() if not path.name.startswith((".", "reco-"))}
    assert ours == {file["location"].rpartition("/")[2] for file in files}
    jobs = {
        m.header["message-id"] for m in house.history.messages[wire.RECO_JOBS]
        if m.key == str(record).encode()
    }  # fmt: skip
    assert len(jobs) == 1
