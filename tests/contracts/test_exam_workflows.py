import json

import pytest

from tests.contracts.conftest import Managers
from tests.contracts.openapi import example

WORKFLOW = "/api/v1/exam/workflow/{workflow_id}"
TASK = "/api/v1/exam/task/{task_id}"
WORKFLOW_ID = example("workflow-out")["id"]
TASK_ID = example("task-list")[1]["id"]
UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def test_a_workflow_comes_with_its_tasks(managers: Managers) -> None:
    client = await managers("none")
    got = await client.checked("exam", "GET", WORKFLOW, workflow_id=WORKFLOW_ID)
    workflow, wanted = json.loads(got.body), example("workflow-out")
    assert sorted(t["id"] for t in workflow["tasks"]) == sorted(t["id"] for t in wanted["tasks"])
    assert workflow | {"tasks": []} == wanted | {"tasks": []}
    listed = await client.checked(
        "exam", "GET", "/api/v1/exam/workflow/all/{exam_id}", exam_id=wanted["exam_id"]
    )
    assert json.loads(listed.body) == [workflow]


async def test_tasks_are_listed_by_workflow(managers: Managers) -> None:
    client = await managers("none")
    template = "/api/v1/exam/task/all/{workflow_id}"
    listed = await client.checked("exam", "GET", template, workflow_id=WORKFLOW_ID)
    assert len(json.loads(listed.body)) == 3
    nothing = await client.checked("exam", "GET", template, workflow_id=UNKNOWN)
    assert nothing.body == b"[]"


async def test_put_of_a_task_replaces_all_of_it(managers: Managers) -> None:
    client = await managers("none")
    change = example("task-update-request")
    put = await client.checked("exam", "PUT", TASK, change, task_id=TASK_ID)
    assert json.loads(put.body)["status"] == change["status"]
    del change["workflow_id"]
    put = await client.checked("exam", "PUT", TASK, change, task_id=TASK_ID)
    assert json.loads(put.body)["workflow_id"] is None
    rest = await client.checked("exam", "GET", WORKFLOW, workflow_id=WORKFLOW_ID)
    assert TASK_ID not in [task["id"] for task in json.loads(rest.body)["tasks"]]


async def test_values_of_args_become_text_and_objects_are_refused(managers: Managers) -> None:
    client = await managers("none")
    change = example("task-update-request") | {"args": {"a": 3.5, "b": True, "c": 7}}
    put = await client.checked("exam", "PUT", TASK, change, task_id=TASK_ID)
    assert json.loads(put.body)["args"] == {"a": "3.5", "b": "True", "c": "7"}
    change["args"] = {"a": {}}
    change["status"] = "PENDING"
    refused = await client.checked("exam", "PUT", TASK, change, task_id=TASK_ID)
    assert refused.status == 422
    places = {tuple(problem["loc"]) for problem in json.loads(refused.body)["detail"]}
    assert places == {tuple(p["loc"]) for p in example("error-422-task")["detail"]}


async def test_what_is_frozen_is_404_for_change(managers: Managers) -> None:
    client = await managers("none")
    frozen = example("task-update-request") | {"is_frozen": True}
    assert (await client.checked("exam", "PUT", TASK, frozen, task_id=TASK_ID)).status == 200
    for method in ("PUT", "DELETE"):
        body = frozen if method == "PUT" else None
        refused = await client.checked("exam", method, TASK, body, task_id=TASK_ID)
        assert (refused.status, json.loads(refused.body)) == (404, example("error-404-task-frozen"))

    change = example("workflow-update-request") | {"is_frozen": True}
    await client.checked("exam", "PUT", WORKFLOW, change, workflow_id=WORKFLOW_ID)
    for method, word in (("PUT", "updated"), ("DELETE", "deleted")):
        body = change if method == "PUT" else None
        refused = await client.checked("exam", method, WORKFLOW, body, workflow_id=WORKFLOW_ID)
        assert json.loads(refused.body) == {"detail": f"Workflow is frozen and cannot be {word}"}


async def test_put_of_a_workflow_writes_null_for_what_is_left_out(managers: Managers) -> None:
    client = await managers("none")
    change = {"is_finished": True, "is_template": False, "is_frozen": False}
    put = await client.checked("exam", "PUT", WORKFLOW, change, workflow_id=WORKFLOW_ID)
    workflow = json.loads(put.body)
    assert (workflow["comment"], workflow["exam_id"], len(workflow["tasks"])) == (None, None, 3)
    assert workflow["datetime_updated"] is not None


async def test_workflows_and_tasks_are_deleted(managers: Managers) -> None:
    client = await managers("none")
    assert (await client.checked("exam", "DELETE", TASK, task_id=TASK_ID)).status == 204
    assert (await client.checked("exam", "GET", TASK, task_id=TASK_ID)).status == 404
    gone = await client.checked("exam", "DELETE", WORKFLOW, workflow_id=WORKFLOW_ID)
    assert gone.status == 204
    missing = await client.checked("exam", "GET", WORKFLOW, workflow_id=WORKFLOW_ID)
    assert json.loads(missing.body) == example("error-404-workflow")


@pytest.mark.parametrize("kind", ["workflow", "task"])
async def test_what_is_no_uuid_is_a_plain_500(managers: Managers, kind: str) -> None:
    client = await managers("none")
    template = f"/api/v1/exam/{kind}/{{{kind}_id}}"
    for method in ("GET", "DELETE"):
        reply = await client.checked("exam", method, template, **{f"{kind}_id": "17"})
        assert reply.is_plain_500


async def test_readiness(managers: Managers) -> None:
    client = await managers("none")
    await client.checked("exam", "GET", "/api/v1/exam/health/readiness")
