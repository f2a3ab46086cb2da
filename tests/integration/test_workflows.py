"""Workflows on the real broker: managers, scanner, reconstruction and a service, each on its own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from models import wire
from sandbox.kafka import EmbeddedKafka
from tests.contracts.openapi import example
from tests.integration.history import History, Seen
from tests.integration.house import READ, House

DENOISE = "denoise"
SCANNERS = ("mri-1", "mri-2")


@pytest_asyncio.fixture(scope="module")
async def clinic(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """A house with UUID records, where workflows may name the topic `denoise`."""
    prefix = f"h{uuid4().hex[:8]}."
    settings = {"SCANHUB_RECORDS": "uuid", "SCANHUB_TOPIC_ALLOW": prefix + DENOISE}
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(prefix + DENOISE, 1, 1)])
    await admin.close()
    async with AsyncExitStack() as stack:
        folder = tmp_path_factory.mktemp("clinic")
        house = await stack.enter_async_context(House(kafka, folder, prefix, **settings))
        topics = (*READ, wire.WORKFLOW_RESPONSES, wire.WORKFLOW_STEPS, DENOISE)
        house.history = History(kafka.bootstrap, prefix, topics)
        await house.furnish(*SCANNERS, era="uuid", scan_seconds=0.05)
        yield house


async def new_workflow(house: House, number: int = 0, **fields: Any) -> dict[str, Any]:
    """Make the contracts' example anew at the exam manager."""
    given: dict[str, Any] = {**example("workflow-out"), "id": str(uuid4()), **fields}
    places = (
        {"device": SCANNERS[number % len(SCANNERS)]},
        {"topic": house.prefix + wire.RECO_JOBS},
        {"topic": house.prefix + DENOISE},
    )
    given["tasks"] = [
        {**task, "id": str(uuid4()), "workflow_id": given["id"], "destinations": place}
        for task, place in zip(given["tasks"], places, strict=True)
    ]
    await house.seed(workflows=[given], tasks=given["tasks"])
    return given


async def ask(house: House, workflow: dict[str, Any], kind: str = "start_workflow") -> None:
    body = {"workflow_id": workflow["id"], "type": kind}
    await house.history.produce(wire.WORKFLOW_REQUESTS, body, key=workflow["id"])


def answers(house: House, workflow: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what was answered of a workflow, repeats dropped, in order."""
    unique: dict[str, Seen] = {}
    for seen in house.history.messages[wire.WORKFLOW_RESPONSES]:
        if seen.key == workflow["id"].encode():
            unique.setdefault(seen.header["message-id"], seen)
    return [seen.json for seen in unique.values()]


async def comes_to(
    house: House, workflow: dict[str, Any], status: str, *tasks: str, timeout_s: float = 30
) -> dict[str, Any]:
    """Wait until a workflow has a status, and its tasks theirs."""

    def found() -> dict[str, Any] | None:
        last = answers(house, workflow)[-1:]
        for answer in last:
            states = [task["status"] for task in answer["tasks"]]
            if answer["status"] == status and (not tasks or states == list(tasks)):
                return answer
        return None

    answer: dict[str, Any] = await house.history.until(
        found, what=f"the workflow is {status} {tasks}", timeout_s=timeout_s
    )
    return answer


def events(house: House, workflow: dict[str, Any]) -> list[Seen]:
    """Give the orders to the service for a workflow, repeats dropped."""
    task = workflow["tasks"][2]["id"]
    unique: dict[str, Seen] = {}
    for seen in house.history.messages[DENOISE]:
        if seen.json["task_id"] == task:
            unique.setdefault(seen.header["message-id"], seen)
    return list(unique.values())


async def complete(house: House, workflow: dict[str, Any], **fields: Any) -> None:
    """Report as the service, in the form of 2024-08: without the workflow, and with no key."""
    body = {"task_id": workflow["tasks"][2]["id"], **fields}
    await house.history.produce(wire.TASK_COMPLETIONS, body)


async def at_the_manager(house: House, workflow: dict[str, Any]) -> tuple[bool, list[str]]:
    """Give whether the exam manager has a workflow as finished, and its tasks' statuses."""
    path = f"/api/v1/exam/workflow/{workflow['id']}"
    given = (await house.http.get(house.services["exam"] + path)).json()
    tasks = {task["id"]: next(iter(task["status"])) for task in given["tasks"]}
    return given["is_finished"], [tasks[task["id"]] for task in workflow["tasks"]]


async def manager_has(
    house: House, workflow: dict[str, Any], *, finished: bool, tasks: str
) -> None:
    """Wait until the exam manager has been told."""
    wanted = (finished, tasks.split())
    async with asyncio.timeout(20):
        while await at_the_manager(house, workflow) != wanted:  # noqa: ASYNC110 - no message tells
            await asyncio.sleep(0.05)


def starts(house: House) -> Counter[str]:
    return Counter(str(s["record_id"]) for device in SCANNERS for s in house.starts(device))


async def test_the_example_workflow_runs_to_its_end(clinic: House) -> None:
    workflow = await new_workflow(clinic)
    await ask(clinic, workflow)
    await ask(clinic, workflow)
    answer = await comes_to(clinic, workflow, "running", "COMPLETED", "COMPLETED", "IN_PROGRESS")
    record = answer["tasks"][0]["record_id"]
    await clinic.history.until(lambda: events(clinic, workflow), what="the service's order")
    [order] = events(clinic, workflow)
    assert order.header["certified"] == "true"
    given = order.json["input"]
    assert given["record_id"] == record
    assert given["input"].startswith(f"records/{record}/")
    assert (clinic.lake / given["input"]).exists()
    await complete(clinic, workflow, status="COMPLETED", artifacts={"input": "denoised.dcm"})
    await comes_to(clinic, workflow, "completed", *["COMPLETED"] * 3)
    await manager_has(clinic, workflow, finished=True, tasks="COMPLETED COMPLETED COMPLETED")
    assert starts(clinic)[record] == 1
    jobs = [m for m in clinic.history.messages[wire.RECO_JOBS] if m.json["record_id"] == record]
    assert len(jobs) == 1
    assert not clinic.history.messages[wire.DEAD_LETTERS]
    told = str([m.value for m in clinic.history.messages[wire.WORKFLOW_RESPONSES]])
    assert "patient" not in told
    assert "178" not in told


async def test_a_failing_task_stops_the_workflow_and_resume_goes_on(clinic: House) -> None:
    workflow = await new_workflow(clinic, 1)
    await ask(clinic, workflow)
    await clinic.history.until(lambda: events(clinic, workflow), what="the service's order")
    await complete(clinic, workflow, status="FAILED")
    answer = await comes_to(clinic, workflow, "failed", "COMPLETED", "COMPLETED", "FAILED")
    assert "reported a failure" in answer["reasons"][0]
    await manager_has(clinic, workflow, finished=False, tasks="COMPLETED COMPLETED FAILED")
    await ask(clinic, workflow, "resume_workflow")
    await clinic.history.until(lambda: len(events(clinic, workflow)) == 2, what="a second order")
    await complete(clinic, workflow, workflow_id=workflow["id"], success=True)
    await comes_to(clinic, workflow, "completed")
    await manager_has(clinic, workflow, finished=True, tasks="COMPLETED COMPLETED COMPLETED")


async def test_what_can_not_be_run_is_answered(clinic: House) -> None:
    unknown = {"id": str(uuid4()), "tasks": []}
    await ask(clinic, unknown)
    answer = await comes_to(clinic, unknown, "unknown")
    assert "no such workflow" in answer["reasons"][0]
    wrong = await new_workflow(clinic)
    tasks = [dict(task) for task in wrong["tasks"]]
    tasks[0]["destinations"] = {"device": "nobody"}
    tasks[0]["args"] |= {"sequence_id": "0" * 24}
    tasks[2]["destinations"] = {"topic": "elsewhere"}
    await clinic.seed(tasks=tasks)
    await ask(clinic, wrong)
    told = " ".join((await comes_to(clinic, wrong, "failed"))["reasons"])
    for reason in ("no such device", "no such sequence", "elsewhere is not permitted"):
        assert reason in told


async def test_a_running_workflow_is_cancelled_and_what_comes_later_changes_nothing(
    clinic: House,
) -> None:
    workflow = await new_workflow(clinic)
    await ask(clinic, workflow)
    await comes_to(clinic, workflow, "running", "COMPLETED", "COMPLETED", "IN_PROGRESS")
    await ask(clinic, workflow, "cancel_workflow")
    await comes_to(clinic, workflow, "cancelled", "COMPLETED", "COMPLETED", "CANCELLED")
    await complete(clinic, workflow)
    await ask(clinic, workflow, "get_status")
    answer = await comes_to(clinic, workflow, "cancelled")
    assert [task["status"] for task in answer["tasks"]][:2] == ["COMPLETED", "COMPLETED"]
    assert len(events(clinic, workflow)) == 1
    finished, _ = await at_the_manager(clinic, workflow)
    assert not finished
