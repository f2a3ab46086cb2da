"""Large sequences: 10 MB pass, above 16 MB the job fails with the size."""

from uuid import uuid4

from models import wire
from tests.integration.house import House, scan_job

MB = 1024 * 1024


async def test_a_sequence_of_10_mb_reaches_the_scanner(house: House) -> None:
    sequence, request = "b" * 24, uuid4().hex
    text = "[DEFINITIONS]\nMatrix 32 32\n" + "1 100 0 0 0\n" * (10 * MB // 12)
    await house.seed(sequences=[{"_id": sequence, "file": text}])
    await house.history.produce(
        wire.SCAN_JOBS, scan_job("mri-1", sequence_id=sequence), key="mri-1",
        headers={"request-id": request},
    )  # fmt: skip
    await house.history.reaches(request, "COMPLETED", timeout_s=60)
    [task] = [
        m
        for m in house.history.messages[wire.DEVICE_TASKS]
        if m.header.get("request-id") == request
    ]
    assert len(task.value or b"") > 10 * MB


async def test_a_sequence_that_is_too_large_fails_the_job_with_its_size(house: House) -> None:
    sequence, request = "c" * 24, uuid4().hex
    await house.seed(sequences=[{"_id": sequence, "file": "x" * (17 * MB)}])
    await house.history.produce(
        wire.SCAN_JOBS, scan_job("mri-1", sequence_id=sequence), key="mri-1",
        headers={"request-id": request},
    )  # fmt: skip
    await house.history.reaches(request, "FAILED", timeout_s=60)
    cause = house.history.event(request, "FAILED")["cause"]
    assert str(17 * MB)[:3] in cause, cause
