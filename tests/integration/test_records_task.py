"""Exam managers without records: the task's id is the record's, and everything else holds."""

from uuid import uuid4

from models import wire
from tests.integration.conftest import BuildHouse
from tests.integration.house import scan_job


async def test_a_tasks_id_is_its_records_and_none_is_made(make_house: BuildHouse) -> None:
    house = await make_house(SCANHUB_RECORDS="task", SCANHUB_SCANS_PER_DEVICE="1")
    await house.furnish("mri-1", era="none")
    task, request = str(uuid4()), uuid4().hex
    await house.history.produce(
        wire.SCAN_JOBS, scan_job("mri-1", task, task_id=task), key="mri-1",
        headers={"request-id": request},
    )  # fmt: skip
    states = await house.history.reaches(request, "COMPLETED")
    assert states[-1] == "COMPLETED"
    assert house.history.event(request, "COMPLETED")["record_id"] == task
    assert list((house.lake / "records" / task).glob("*-image.dcm"))
    assert not house.requests("exam", path="record")

    target = house.folder / "image.dcm"
    code, said = await house.command("result", task, "-o", str(target))
    assert code == 0, said
    assert target.stat().st_size > 0
    code, said = await house.command("status", task)
    assert code == 0, said
    assert "COMPLETED" in said
