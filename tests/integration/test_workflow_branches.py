"""Branches side by side where tasks name their inputs, at an exam manager that keeps no records."""

from typing import Any
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from models import wire
from sandbox.kafka import EmbeddedKafka
from tests.contracts.openapi import example
from tests.integration.history import History
from tests.integration.house import READ, House

SERVICE = "service"


def task_of(house: House, workflow: str, kind: str, number: int, *inputs: str) -> dict[str, Any]:
    """Make a task: a scan, or work for the service, with the tasks whose results it needs."""
    given: dict[str, Any] = dict(example("workflow-out")["tasks"][0 if kind == "scan" else 2])
    place = {"device": "mri-1"} if kind == "scan" else {"topic": house.prefix + SERVICE}
    return {
        **given,
        "id": str(uuid4()),
        "workflow_id": workflow,
        "destinations": place,
        "input_task_ids": list(inputs),
        "datetime_created": f"2026-01-01T00:00:0{number}",
    }


async def test_branches_run_side_by_side_and_their_end_waits_for_both(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> None:
    prefix = f"h{uuid4().hex[:8]}."
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(prefix + SERVICE, 1, 1)])
    await admin.close()
    settings = {"SCANHUB_RECORDS": "task", "SCANHUB_TOPIC_ALLOW": prefix + SERVICE}
    async with House(kafka, tmp_path_factory.mktemp("branches"), prefix, **settings) as house:
        house.history = History(kafka.bootstrap, prefix, (*READ, wire.WORKFLOW_RESPONSES, SERVICE))
        await house.furnish("mri-1", era="inputs", scan_seconds=0.05)
        workflow = str(uuid4())
        scan = task_of(house, workflow, "scan", 1)
        left, right = (task_of(house, workflow, "service", n, scan["id"]) for n in (2, 3))
        last = task_of(house, workflow, "service", 4, left["id"], right["id"])
        tasks = [scan, left, right, last]
        given = {**example("workflow-out"), "id": workflow, "tasks": tasks}
        await house.seed(workflows=[given], tasks=tasks)

        request = {"workflow_id": workflow, "type": "start_workflow"}
        await house.history.produce(wire.WORKFLOW_REQUESTS, request, key=workflow)

        def sent() -> list[str]:
            return [seen.json["task_id"] for seen in house.history.messages[SERVICE]]

        await house.history.until(
            lambda: {left["id"], right["id"]} <= set(sent()), what="both branches are begun"
        )
        assert last["id"] not in sent()
        await _complete(house, workflow, right["id"])
        await house.history.until(
            lambda: _states(house).get(right["id"]) == "COMPLETED", what="one branch is done"
        )
        assert last["id"] not in sent(), "its other input is not there yet"
        await _complete(house, workflow, left["id"])
        await house.history.until(lambda: last["id"] in sent(), what="their end is begun")
        await _complete(house, workflow, last["id"])
        await house.history.until(
            lambda: (
                house.history.messages[wire.WORKFLOW_RESPONSES][-1].json["status"] == "completed"
            ),
            what="the workflow is completed",
        )
        assert sorted(sent()) == sorted({left["id"], right["id"], last["id"]}), "each once"
        assert list((house.lake / "records" / scan["id"]).glob("*-image.dcm"))


async def _complete(house: House, workflow: str, task: str) -> None:
    body = {"workflow_id": workflow, "task_id": task, "success": True}
    await house.history.produce(wire.TASK_COMPLETIONS, body, key=workflow)


def _states(house: House) -> dict[str, str]:
    answers = house.history.messages[wire.WORKFLOW_RESPONSES]
    return {task["id"]: task["status"] for task in answers[-1].json["tasks"]} if answers else {}
