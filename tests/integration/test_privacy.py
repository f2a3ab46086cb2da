"""Planted patient data in every input, and a look for it in everything that is not a value."""

from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx

from models import wire
from tests.integration.conftest import BuildHouse
from tests.integration.house import LIMITS, House, scan_job

NAME = "Mustermann-Planted"
HEIGHT = 173.0625
WEIGHT = 61.40625
NEEDLES = (NAME, str(HEIGHT), str(WEIGHT))


def planted_job(device: str) -> dict[str, Any]:
    limits = {**LIMITS["acquisition_limits"], "patient_height": HEIGHT, "patient_weight": WEIGHT}
    return scan_job(device, acquisition_limits=limits, patient_name=NAME, note={"name": NAME})


async def test_no_patient_data_leave_the_values_that_they_came_in(make_house: BuildHouse) -> None:
    house = await make_house(SCANHUB_WEB_PORT="6188", SCANHUB_RETRY_MOST_S="1")
    await house.furnish("mri-1")
    history, request = house.history, uuid4().hex

    await history.produce(
        wire.SCAN_JOBS, planted_job("mri-1"), key="mri-1", headers={"request-id": request}
    )
    await history.reaches(request, "COMPLETED")
    record = history.event(request, "COMPLETED")["record_id"]
    await _plant_everywhere(house, record)
    metrics = (await house.http.get("http://127.0.0.1:6188/metrics")).text
    ready = await house.http.get("http://127.0.0.1:6188/health/ready")
    assert ready.status_code == httpx.codes.OK

    logs = house.workers["w1"].log_file.read_text(errors="replace")
    assert "dead letter" in logs  # the log was written, and is the right one
    assert "scanhub_messages_total" in metrics
    for needle in NEEDLES:
        assert needle not in logs
        assert needle not in metrics
        for event in history.messages[wire.SCAN_EVENTS]:
            assert needle not in (event.value or b"").decode()
        for topic, messages in history.messages.items():
            for message in messages:
                assert needle not in str(message.key), topic
                assert needle not in str(message.headers), topic


async def _plant_everywhere(house: House, record: int) -> None:
    """Send the planted name in every input, good and bad, and wait until each is settled."""
    history, device = house.history, "mri-1"
    content = f"{NAME} {uuid4().hex}".encode()
    place = house.lake / "incoming" / f"{NAME}.npy"
    place.write_bytes(content)
    upload = {
        "record_id": record, "upload_id": "u1", "location": f"incoming/{NAME}.npy",
        "size": len(content), "sha256": sha256(content).hexdigest(), "file_name": NAME,
    }  # fmt: skip
    inputs: list[tuple[str, Any, str]] = [
        (wire.SCAN_JOBS, {**planted_job(device), "id": NAME}, device),
        (wire.SCAN_JOBS, NAME.encode(), device),
        (wire.SCAN_JOBS, {**planted_job(device), "acquisition_limits": {NAME: HEIGHT}}, device),
        (wire.SCAN_STATUS, {"record_id": record, "status_percent": 5, "message": NAME}, str(record)),
        (wire.SCAN_STATUS, {"record_id": record, "status_percent": NAME}, str(record)),
        (wire.SCAN_STATUS, {"record_id": record, "status_percent": 5, "device_id": NAME}, str(record)),
        (wire.RESULT_UPLOADS, upload, str(record)),
        (wire.RESULT_UPLOADS, {**upload, "location": f"../{NAME}", "sha256": "1" * 64}, str(record)),
        (wire.RESULT_UPLOADS, {**upload, "size": 1, "sha256": "0" * 64}, str(record)),
        (wire.RECO_RESULTS, {"record_id": record, "reco_job_id": NAME, "success": False,
                             "error": NAME}, str(record)),
        (wire.RESULT_REQUESTS, {"request_id": "r1", "record_id": record, "what": NAME}, str(record)),
        (wire.SCAN_COMMANDS, {"command_id": "c1", "command": "STOP", "device_id": device,
                              "reason": NAME, "by": "ada"}, device),
        (wire.SCAN_COMMANDS, {"command": NAME}, device),
    ]  # fmt: skip
    for topic, value, key in inputs:
        await history.produce(topic, value, key=key)
    late = scan_job(device, 88)
    request = uuid4().hex
    await history.produce(wire.SCAN_JOBS, late, key=device, headers={"request-id": request})
    await history.reaches(request, "COMPLETED")
    await history.until(
        lambda: len(history.messages[wire.DEAD_LETTERS]) >= 10, what="the dead letters"
    )
    await history.until(
        lambda: [e for e in history.events if e["event"] == "COMMAND_ANSWERED"], what="the answer"
    )
