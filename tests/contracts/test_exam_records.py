import asyncio
import json
import re
from typing import Any
from uuid import UUID

import pytest

from sandbox.managers.run import Era
from tests.contracts.conftest import Managers
from tests.contracts.openapi import example

RECORD = "/api/v1/exam/record"
ONE = RECORD + "/{record_id}"
ONE_WITH_SLASH = RECORD + "/{record_id}/"
ALL = RECORD + "/all/{job_id}"
JOB = "/api/v1/exam/job/{job_id}"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
JOB_IDS = {"integer": "17", "uuid": "6a3b7ebb-ae8c-4bce-be04-7d0c14a44158"}


def create_request(era: str) -> Any:
    return example("record-create-request" if era == "integer" else "record-create-request-uuid")


@pytest.mark.parametrize("era", ["integer", "uuid"])
async def test_a_record_is_made_listed_read_and_deleted(managers: Managers, era: Era) -> None:
    client = await managers(era)

    made = json.loads((await client.checked("exam", "POST", RECORD, create_request(era))).body)
    assert set(made) == {"data_path", "comment", "id", "datetime_created"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", made["datetime_created"])
    assert isinstance(made["id"], int) if era == "integer" else UUID(made["id"])

    listed = await client.checked("exam", "GET", ALL, job_id=JOB_IDS[era])
    assert json.loads(listed.body) == [made]
    job = await client.checked("exam", "GET", JOB, job_id=JOB_IDS[era])
    assert json.loads(job.body)["records"] == [made]
    one = await client.checked("exam", "GET", ONE, record_id=made["id"])
    assert json.loads(one.body) == made
    assert (await client.checked("exam", "DELETE", ONE, record_id=made["id"])).status == 204
    gone = await client.checked("exam", "GET", ONE, record_id=made["id"])
    assert json.loads(gone.body) == example("error-404-record")


async def test_each_post_makes_one_more_record(managers: Managers) -> None:
    client = await managers()
    for _ in range(3):
        await client.checked("exam", "POST", RECORD, create_request("integer"))
    listed = await client.checked("exam", "GET", ALL, job_id="17")
    assert [row["id"] for row in json.loads(listed.body)] == [1, 2, 3]
    known = await client.control("exam", "GET", "records")
    assert [row["job_id"] for row in known] == [17, 17, 17]


@pytest.mark.parametrize("era", ["integer", "uuid"])
async def test_a_record_of_an_unknown_job_is_a_plain_500(managers: Managers, era: Era) -> None:
    client = await managers(era)
    body = {"job_id": "99" if era == "integer" else UNKNOWN}
    assert (await client.checked("exam", "POST", RECORD, body)).is_plain_500


@pytest.mark.parametrize(("era", "job_id"), [("integer", 1), ("uuid", UNKNOWN)])
async def test_any_job_is_known_when_asked_for(
    managers: Managers, era: Era, job_id: object
) -> None:
    client = await managers(era, any_job=True)
    assert (await client.checked("exam", "POST", RECORD, {"job_id": job_id})).status == 201
    assert (await client.checked("exam", "GET", JOB, job_id=job_id)).status == 200


async def test_no_job_below_one_is_known(managers: Managers) -> None:
    client = await managers(any_job=True)
    assert (await client.checked("exam", "POST", RECORD, {"job_id": 0})).is_plain_500


@pytest.mark.parametrize(("era", "job_id"), [("integer", "99"), ("uuid", UNKNOWN)])
async def test_an_unknown_job_has_no_records(managers: Managers, era: Era, job_id: str) -> None:
    client = await managers(era)
    assert (await client.checked("exam", "GET", ALL, job_id=job_id)).body == b"[]"


@pytest.mark.parametrize("body", [{}, {"job_id": "x"}, {"job_id": {}}, []])
async def test_a_body_that_does_not_validate_is_422(managers: Managers, body: object) -> None:
    client = await managers()
    assert (await client.checked("exam", "POST", RECORD, body)).status == 422


async def test_an_id_that_is_no_integer_is_422_in_the_integer_era(managers: Managers) -> None:
    client = await managers()
    assert (await client.checked("exam", "GET", ONE, record_id="x")).status == 422


async def test_a_malformed_uuid_is_a_plain_500_in_the_uuid_era(managers: Managers) -> None:
    client = await managers("uuid")
    for path in ("/record/42", "/record/all/17", "/job/17"):
        assert (await client.call("exam", "GET", f"/api/v1/exam{path}")).is_plain_500


async def test_put_sets_only_the_keys_given(managers: Managers) -> None:
    client = await managers()
    await client.checked("exam", "POST", RECORD, create_request("integer"))
    change = {"comment": "Created DICOM", "other": 1}
    put = await client.checked("exam", "PUT", ONE_WITH_SLASH, change, record_id=1)
    row = json.loads(put.body)
    assert (row["data_path"], row["comment"]) == ("unknown", "Created DICOM")
    missing = await client.checked("exam", "PUT", ONE_WITH_SLASH, change, record_id=9)
    assert json.loads(missing.body) == example("error-404-record")


async def test_put_of_a_record_always_fails_in_the_uuid_era(managers: Managers) -> None:
    client = await managers("uuid")
    made = await client.checked("exam", "POST", RECORD, create_request("uuid"))
    record_id = json.loads(made.body)["id"]
    put = await client.checked("exam", "PUT", ONE_WITH_SLASH, {}, record_id=record_id)
    assert put.is_plain_500
    put = await client.checked("exam", "PUT", ONE_WITH_SLASH, {}, record_id=UNKNOWN)
    assert put.status == 404


async def test_put_needs_its_slash_and_the_others_have_none(managers: Managers) -> None:
    client = await managers()
    await client.checked("exam", "POST", RECORD, create_request("integer"))
    assert (await client.call("exam", "PUT", f"{RECORD}/1", {})).status == 405
    assert (await client.call("exam", "GET", f"{RECORD}/1/")).status == 405
    redirect = await client.call("exam", "GET", f"{RECORD}/all/17/?a=b")
    assert redirect.status == 307
    assert redirect.headers["Location"].endswith(f"{RECORD}/all/17?a=b")


async def test_without_records_post_is_405_and_the_rest_404(managers: Managers) -> None:
    client = await managers("none")
    post = await client.call("exam", "POST", RECORD, create_request("uuid"))
    assert (post.status, json.loads(post.body)) == (405, example("error-405-record"))
    for method, path in [
        ("GET", f"{RECORD}/{UNKNOWN}"),
        ("GET", f"{RECORD}/all/{UNKNOWN}"),
        ("PUT", f"{RECORD}/{UNKNOWN}/"),
        ("DELETE", f"{RECORD}/{UNKNOWN}"),
    ]:
        assert (await client.call("exam", method, path)).status == 404


@pytest.mark.parametrize("era", ["integer", "uuid"])
async def test_jobs_are_made_replaced_listed_and_deleted(managers: Managers, era: Era) -> None:
    client = await managers(era)
    body = example("job-out" if era == "integer" else "job-out-uuid")
    made = json.loads((await client.checked("exam", "POST", "/api/v1/exam/job", body)).body)
    put = await client.checked("exam", "PUT", JOB, body | {"comment": "again"}, job_id=made["id"])
    assert json.loads(put.body)["comment"] == "again"
    parent = body["procedure_id" if era == "integer" else "exam_id"]
    listed = await client.checked(
        "exam", "GET", "/api/v1/exam/job/all/{parent_id}", parent_id=parent
    )
    assert len(json.loads(listed.body)) == 2
    assert (await client.checked("exam", "DELETE", JOB, job_id=made["id"])).status == 204
    assert (await client.checked("exam", "GET", JOB, job_id=made["id"])).status == 404


async def test_records_survive_in_the_state_file(managers: Managers, tmp_path: Any) -> None:
    state = tmp_path / "state.jsonl"
    client = await managers(state=state)
    await client.checked("exam", "POST", RECORD, create_request("integer"))
    await client.checked("exam", "POST", RECORD, create_request("integer"))
    await client.checked("exam", "DELETE", ONE, record_id=2)
    await asyncio.to_thread(_tear, state)  # as a kill in the middle of a write does

    again = await managers(state=state)
    listed = await again.checked("exam", "GET", ALL, job_id="17")
    assert [row["id"] for row in json.loads(listed.body)] == [1]
    made = await again.checked("exam", "POST", RECORD, create_request("integer"))
    assert json.loads(made.body)["id"] == 3


def _tear(state: Any) -> None:
    with state.open("a") as file:
        file.write('{"table":"rec')
