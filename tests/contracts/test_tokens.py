"""Managers that ask for tokens: every operation, but for those that the contracts leave open."""

import json
from typing import Any

import pytest

from sandbox.managers.run import Era
from tests.contracts.conftest import FILES, Client, Managers
from tests.contracts.openapi import contract, example
from tests.contracts.test_login_manager import log_in

PATHS = {
    "workflow_id": example("workflow-out")["id"],
    "task_id": example("task-list")[1]["id"],
    "exam_id": example("workflow-out")["exam_id"],
    "device_id": "mri-0001",
    "mri_sequence_id": example("sequence-out")["_id"],
    "record_id": "1",
    "job_id": "17",
    "parent_id": "1",
}
NOT_SIMULATED = {
    "/api/v1/mri/sequences/mri-sequence-plot/{seq_id}",
    "/api/v1/mri/sequences/upload",
    "/api/v1/userlogin/createuser",
    "/api/v1/userlogin/getallusers",
}


def operations(service: str) -> list[tuple[str, str]]:
    """Give what is simulated of the reference commit, and asks for a token there."""
    document = contract(FILES[service]).document
    found = []
    for path, item in document["paths"].items():
        exams = service == "exam" and not any(p in path for p in ("workflow", "task", "health"))
        for method, operation in item.items():
            if "security" not in operation and not exams and path not in NOT_SIMULATED:
                found.append((method.upper(), path))
    assert found
    return found


async def authorised(client: Client) -> None:
    token = json.loads((await log_in(client)).body)["access_token"]
    client.headers = {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("service", ["exam", "device", "sequence"])
async def test_every_operation_asks_for_a_token(managers: Managers, service: str) -> None:
    client = await managers("none", tokens=True)
    for method, path in operations(service):
        body: Any = {} if method in ("POST", "PUT") else None
        client.headers = {}
        refused = await client.checked(service, method, path, body, **PATHS)
        assert (refused.status, json.loads(refused.body)) == (401, example("error-401-no-token"))
        client.headers = {"Authorization": "Bearer x"}
        refused = await client.checked(service, method, path, body, **PATHS)
        assert (refused.status, json.loads(refused.body)) == (401, example("error-401-bad-token"))
    client.headers = {}
    await authorised(client)
    for method, path in operations(service):
        if method == "GET":
            assert (await client.checked(service, method, path, **PATHS)).status == 200


@pytest.mark.parametrize("era", ["integer", "uuid"])
async def test_records_ask_for_a_token_too_and_none_is_made_without(
    managers: Managers, era: Era
) -> None:
    client = await managers(era, tokens=True)
    body = {"job_id": example("job-out" if era == "integer" else "job-out-uuid")["id"]}
    assert (await client.call("exam", "POST", "/api/v1/exam/record", body)).status == 401
    assert await client.control("exam", "GET", "records") == []
    await authorised(client)
    assert (await client.call("exam", "POST", "/api/v1/exam/record", body)).status == 201


async def test_what_does_not_exist_is_told_without_a_token(managers: Managers) -> None:
    client = await managers("none", tokens=True)
    assert (await client.call("exam", "POST", "/api/v1/exam/record", {})).status == 405
    assert (await client.call("exam", "GET", "/api/v1/exam/record/all/1")).status == 404
    assert (await client.call("device", "GET", "/api/v1/device")).status == 307


async def test_all_tokens_can_be_ended(managers: Managers) -> None:
    client = await managers("none", tokens=True)
    await authorised(client)
    readiness = "/api/v1/exam/health/readiness"
    assert (await client.checked("exam", "GET", readiness)).status == 200
    await client.control("login", "POST", "end-tokens")
    assert (await client.checked("exam", "GET", readiness)).status == 401


async def test_without_the_switch_nobody_asks_for_one(managers: Managers) -> None:
    client = await managers("none")
    assert (await client.checked("exam", "GET", "/api/v1/exam/health/readiness")).status == 200


async def test_no_log_holds_a_token_or_a_password(managers: Managers, tmp_path: Any) -> None:
    log = tmp_path / "log.jsonl"
    client = await managers("none", tokens=True, log=log)
    await authorised(client)
    await client.checked("exam", "GET", "/api/v1/exam/health/readiness")
    token = client.headers["Authorization"].removeprefix("Bearer ")
    text = log.read_text()
    assert "/api/v1/userlogin/login" in text
    assert token[:16] not in text
    assert "sandbox+password" not in text
    assert "sandbox password" not in text
