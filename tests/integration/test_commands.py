"""What a person types, against a house that works."""

import json
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pydicom

from tests.integration.house import House, scan_job


async def test_a_person_takes_a_job_from_its_file_to_its_image(
    house: House, tmp_path: Path
) -> None:
    job, image, request = tmp_path / "job.json", tmp_path / "image.dcm", uuid4().hex
    job.write_text(json.dumps(scan_job("mri-1", 55)))

    code, said = await house.command("submit", str(job), "--request-id", request, "--wait")
    assert code == 0, said
    assert "COMPLETED" in said
    record = str(house.history.event(request, "COMPLETED")["record_id"])

    code, said = await house.command("status", record)
    assert code == 0, said
    assert all(word in said for word in ("COMPLETED", "mri-1", "-image.dcm"))

    code, said = await house.command("result", record, "-o", str(image))
    assert code == 0, said
    assert pydicom.dcmread(BytesIO(image.read_bytes())).Modality == "MR"


async def test_a_job_that_fails_says_why_with_its_exit_code(house: House, tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    job.write_text(json.dumps(scan_job("nobody")))
    code, said = await house.command("submit", str(job), "--wait")
    assert code == 3
    assert "knows no such device" in said


async def test_what_is_missing_has_its_exit_code(house: House, tmp_path: Path) -> None:
    code, _ = await house.command("result", "888888", "-o", str(tmp_path / "x"))
    assert (code, (tmp_path / "x").exists()) == (3, False)


async def test_the_doctor_ticks_a_house_that_works_and_crosses_what_is_wrong(house: House) -> None:
    code, said = await house.command("doctor")
    assert code == 0, said
    assert "✗" not in said
    code, said = await house.command("doctor", DEVICE_MANAGER_URI="127.0.0.1:9")
    assert code == 1
    assert "device manager" in said


async def test_topics_are_checked(house: House) -> None:
    code, said = await house.command("topics", "--check")
    assert code == 0, said
    code, said = await house.command("topics", "--check", SCANHUB_PARTITIONS="5")
    assert code == 1
    assert "4 partitions, 5 are set" in said


async def test_a_workflow_that_can_not_be_run_has_its_exit_code_and_every_reason(
    house: House,
) -> None:
    nobodys, mine, task = (str(uuid4()) for _ in range(3))
    code, said = await house.command("workflow", nobodys)
    assert (code, "no such workflow" in said) == (3, True), said
    code, said = await house.command("workflow", nobodys, "--start", "--watch")
    assert code == 3, said

    place, args = {"device": "nobody"}, {"sequence_id": "0" * 24}
    row = {"id": task, "workflow_id": mine, "type": "DEVICE_TASK", "destinations": place}
    await house.seed(workflows=[{"id": mine}], tasks=[{**row, "args": args}])
    code, said = await house.command("workflow", mine, "--start", "--watch")
    assert code == 1, said
    assert "state     failed" in said
    assert "no such device" in said
    assert "no such sequence" in said
    code, said = await house.command("workflow", mine, "--json")
    assert code == 0, said
    assert json.loads(said)["status"] == "failed"
    code, said = await house.command("workflow", mine, "--cancel")
    assert code == 1, said
