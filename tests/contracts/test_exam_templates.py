import json
from typing import Any

import pytest

from tests.contracts.conftest import Client, Managers
from tests.contracts.openapi import example

BASE = "/api/v1/exam"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
EXAM_ID = example("workflow-out")["exam_id"]
WORKFLOW_ID = example("workflow-out")["id"]
WORKFLOW = example("workflow-update-request") | {"is_finished": False, "is_template": True}
TASK = example("task-update-request") | {"is_template": True, "status": {"PENDING": ""}}


async def _made(client: Client, path: str, body: Any = None, query: str = "") -> Any:
    reply = await client.checked("exam", "POST", f"{BASE}{path}", body, query=query)
    assert reply.status == 201, reply.text
    return json.loads(reply.body)


async def _listed(client: Client, kind: str) -> list[Any]:
    reply = await client.checked("exam", "GET", f"{BASE}/{kind}/templates/all")
    listed: list[Any] = json.loads(reply.body)
    return listed


async def test_a_template_is_made_listed_and_copied_with_its_tasks(managers: Managers) -> None:
    client = await managers("none")
    assert await _listed(client, "workflow") == []
    template = await _made(client, "/workflow/templates", WORKFLOW)
    seed = {"tasks": [TASK | {"id": UNKNOWN, "workflow_id": template["id"]}]}
    await client.control("exam", "POST", "seed", seed)
    (listed,) = await _listed(client, "workflow")
    assert (listed["id"], len(listed["tasks"])) == (template["id"], 1)

    query = f"?exam_id={EXAM_ID}&template_id={template['id']}"
    copy = await _made(client, "/workflow", query=query)
    assert (copy["is_template"], copy["tasks"]) == (False, []), "not seen at once"
    got = await client.checked(
        "exam", "GET", BASE + "/workflow/{id}".format(id="{workflow_id}"), workflow_id=copy["id"]
    )
    (task,) = json.loads(got.body)["tasks"]
    assert task["id"] != UNKNOWN
    assert (task["is_template"], task["args"]) == (False, TASK["args"])
    assert [row["id"] for row in await _listed(client, "workflow")] == [template["id"]]


async def test_a_task_template_is_made_listed_and_copied(managers: Managers) -> None:
    client = await managers("none")
    template = await _made(client, "/task/template", TASK)
    assert await _listed(client, "task") == [template]
    query = f"?workflow_id={WORKFLOW_ID}&template_id={template['id']}"
    task = await _made(client, "/task", query=query)
    assert (task["workflow_id"], task["is_template"]) == (WORKFLOW_ID, False)


async def test_what_is_no_template_is_refused(managers: Managers) -> None:
    client = await managers("none")
    for path, body, sentence in [
        ("/workflow/templates", WORKFLOW, "Workflow is not a template."),
        ("/task/template", TASK, "Task is not a template."),
    ]:
        change = body | {"is_template": False}
        reply = await client.checked("exam", "POST", BASE + path, change)
        assert (reply.status, json.loads(reply.body)) == (404, {"detail": sentence})


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/workflow", f"?exam_id={EXAM_ID}&template_id={UNKNOWN}", 404),
        ("/workflow", f"?exam_id={EXAM_ID}", 422),
        ("/workflow", "?exam_id=x&template_id=y", 422),
        ("/task", f"?workflow_id={WORKFLOW_ID}&template_id={UNKNOWN}", 404),
        ("/task", f"?workflow_id={UNKNOWN}&template_id={example('task-list')[0]['id']}", 500),
        ("/task", "", 422),
    ],
)
async def test_copies_of_nothing(managers: Managers, path: str, query: str, status: int) -> None:
    client = await managers("none")
    reply = await client.checked("exam", "POST", BASE + path, query=query)
    assert reply.status == status


async def test_a_copys_tasks_build_on_each_other_as_the_templates_do(managers: Managers) -> None:
    client = await managers("inputs")
    template = await _made(client, "/workflow/templates", WORKFLOW)
    first = {"id": UNKNOWN, "workflow_id": template["id"]}
    second = {"workflow_id": template["id"], "input_task_ids": [UNKNOWN]}
    await client.control("exam", "POST", "seed", {"tasks": [TASK | first, TASK | second]})
    query = f"?exam_id={EXAM_ID}&template_id={template['id']}"
    copy = await _made(client, "/workflow", query=query)
    got = await client.call("exam", "GET", f"{BASE}/workflow/{copy['id']}")
    later, earlier = json.loads(got.body)["tasks"]
    assert (earlier["input_task_ids"], later["input_task_ids"]) == ([], [earlier["id"]])
    assert earlier["id"] != UNKNOWN


async def test_inputs_are_seen_in_their_era_only_and_lost_by_a_put_without_them(
    managers: Managers,
) -> None:
    task = example("task-list")[1]
    path, inputs = f"{BASE}/task/{task['id']}", [example("task-list")[0]["id"]]
    for era in ("none", "inputs"):
        client = await managers(era)
        seed = {"tasks": [task | {"input_task_ids": inputs}]}
        await client.control("exam", "POST", "seed", seed)
        got = json.loads((await client.call("exam", "GET", path)).body)
        assert got.get("input_task_ids") == (inputs if era == "inputs" else None)
        change = example("task-update-request")
        put = json.loads((await client.call("exam", "PUT", path, change)).body)
        assert put.get("input_task_ids") == ([] if era == "inputs" else None)
