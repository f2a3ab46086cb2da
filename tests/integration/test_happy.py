"""The main job, from the ScanJob to the DICOM that is fetched through Kafka."""

from io import BytesIO
from typing import Any
from uuid import uuid4

import numpy as np
import pydicom
import pytest

from models import wire
from sandbox.reconstruction.dicom import dicom_file
from tests.integration.conftest import BuildHouse
from tests.integration.history import Seen
from tests.integration.house import House, scan_job

WAY = [
    "ACCEPTED", "READY", "STARTING", "STARTED", "RUNNING", "ACQUIRED", "RECONSTRUCTING",
    "COMPLETED",
]  # fmt: skip


async def fetch(
    house: House, record: int | str, what: str = "image"
) -> tuple[dict[str, Any], bytes]:
    """Ask for a record's file and put its parts together."""
    request = uuid4().hex
    asked = {"request_id": request, "record_id": record, "what": what}
    await house.history.produce(wire.RESULT_REQUESTS, asked, key=str(record))

    def parts() -> list[Seen]:
        found = house.history.messages[wire.RESULT_CHUNKS]
        return [m for m in found if m.key == request.encode()]

    await house.history.until(
        lambda: any(m.header["part"] == "end" for m in parts()), what="the end of an answer"
    )
    metadata = next(m.json for m in parts() if m.header["part"] == "metadata")
    chunks = {
        int(m.header["index"]): m.value or b"" for m in parts() if m.header["part"] == "chunk"
    }
    return metadata, b"".join(chunks[i] for i in sorted(chunks))


@pytest.mark.parametrize(
    ("era", "dialect", "path"),
    [("integer", "request", "/start-scan"), ("uuid", "task", "/api/start-scan")],
)
async def test_a_job_becomes_an_image_in_both_eras_and_dialects(
    make_house: BuildHouse, era: str, dialect: str, path: str
) -> None:
    house = await make_house(
        SCANHUB_RECORDS=era, SCANHUB_DEVICE_DIALECT=dialect, SCANHUB_DEVICE_PATH=path
    )
    await house.furnish("mri-a", era=era)
    job = 17 if era == "integer" else str(uuid4())
    request = "happy-1"

    await house.history.produce(
        wire.SCAN_JOBS, scan_job("mri-a", job), key="mri-a", headers={"request-id": request}
    )

    states = await house.history.reaches(request, "COMPLETED", "FAILED", timeout_s=40)
    hops = [state for state in WAY if state not in states]
    assert set(hops) <= {"STARTED"}, states  # a status may overtake the answer to START
    assert [s for s in WAY if s in states] == states
    record = house.history.event(request, "COMPLETED")["record_id"]
    assert isinstance(record, int) is (era == "integer")

    [start] = house.starts("mri-a")
    assert str(start["record_id"]) == str(record)
    [made] = await house.records()
    assert made["id"] == record
    assert request in made["comment"]

    metadata, image = await fetch(house, record)
    assert metadata["status"] == "ok"
    dataset = pydicom.dcmread(BytesIO(image))
    assert dataset.SOPInstanceUID == metadata["file"]["sop_instance_uid"]
    assert (dataset.Rows, dataset.Columns) == (32, 32)
    [reco_job] = house.history.messages[wire.RECO_JOBS]
    assert reco_job.json["record_id"] == record
    assert reco_job.json["input"].startswith(f"records/{record}/")

    percents = [e["percent"] for e in house.history.events if e["event"] == "PROGRESS"]
    assert percents == sorted(percents)
    assert percents[-1] == 100


async def test_raw_data_and_state_can_be_asked_for(house: House) -> None:
    request = "state-1"
    await house.history.produce(
        wire.SCAN_JOBS, scan_job("mri-1"), key="mri-1", headers={"request-id": request}
    )
    await house.history.reaches(request, "COMPLETED")
    record = house.history.event(request, "COMPLETED")["record_id"]

    metadata, raw = await fetch(house, record, "raw")
    assert metadata["file"]["size"] == len(raw)
    assert raw.startswith(b"\x93NUMPY")

    metadata, nothing = await fetch(house, record, "state")
    assert nothing == b""
    assert metadata["scan"]["state"] == "COMPLETED"
    assert metadata["scan"]["device_id"] == "mri-1"
    assert len(metadata["scan"]["files"]) == 2
    assert {"accepted", "ready", "completed"} <= set(metadata["scan"]["times"])


async def test_what_is_missing_is_answered(house: House) -> None:
    metadata, nothing = await fetch(house, 999_999)
    assert (metadata["status"], nothing) == ("missing", b"")


async def test_a_file_that_a_foreign_worker_left_is_found(make_house: BuildHouse) -> None:
    """It writes to the old conventional place, and says nothing on Kafka."""
    house = await make_house()
    await house.start_managers("integer")
    await house.start_device("mri-a")
    await house.start_worker("w1")
    await house.history.__aenter__()
    request = "foreign-1"
    await house.history.produce(
        wire.SCAN_JOBS, scan_job("mri-a"), key="mri-a", headers={"request-id": request}
    )
    await house.history.reaches(request, "RECONSTRUCTING")
    record = house.history.event(request, "RECONSTRUCTING")["record_id"]
    metadata, _ = await fetch(house, record)
    assert metadata["status"] == "missing"

    image = dicom_file(np.ones((8, 8), dtype=np.uint16), "somebody-elses")
    (house.lake / f"records/{record}/record-{record}.dcm").write_bytes(image)
    metadata, served = await fetch(house, record)

    assert metadata["status"] == "ok"
    assert served == image
    await house.history.reaches(request, "COMPLETED")
    metadata, served = await fetch(house, record)
    assert (metadata["file"]["location"].endswith("-image.dcm"), served) == (True, image)


async def test_the_image_of_the_worker_that_exists_is_noticed(make_house: BuildHouse) -> None:
    """Dialect `upstream`: one partition, integer ids, and not a word on Kafka."""
    house = await make_house(SCANHUB_RECO_DIALECT="upstream")
    await house.start_managers("integer")
    await house.start_device("mri-a")
    await house.start_worker("w1")
    await house.history.__aenter__()
    request = "upstream-1"
    await house.history.produce(
        wire.SCAN_JOBS, scan_job("mri-a"), key="mri-a", headers={"request-id": request}
    )
    await house.history.reaches(request, "RECONSTRUCTING")
    record = house.history.event(request, "RECONSTRUCTING")["record_id"]
    [job] = house.history.messages[wire.RECO_JOBS]
    assert (job.partition, job.json["record_id"]) == (0, record)
    place = house.lake / f"records/{record}/record-{record}.dcm"
    image = dicom_file(np.ones((8, 8), dtype=np.uint16), "somebody-elses")
    place.write_bytes(image[:300])  # half-written: not taken
    place.write_bytes(image)
    await house.history.reaches(request, "COMPLETED")
    registered = [e for e in house.history.events if e["event"] == "RESULT_REGISTERED"]
    assert registered[-1]["files"][0]["size"] == len(image)
