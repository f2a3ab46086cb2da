import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from managers import ExamManager, FrozenError
from managers.workflows import TASK_MOST, WORKFLOW_MOST
from models.errors import PermanentError, TransientError
from models.managers import TaskStatus
from tests.unit.test_managers_servers import (
    Answer,
    Server,
    Taken,
    drops,
    is_silent,
    response,
    says,
    sends,
    serving,
)

EXAMPLES = Path(__file__).parents[1] / "contracts" / "examples"
WORKFLOW: dict[str, Any] = json.loads((EXAMPLES / "workflow-out.json").read_text())
TASK: dict[str, Any] = json.loads((EXAMPLES / "task-list.json").read_text())[1]
TASK_ID, WORKFLOW_ID = TASK["id"], WORKFLOW["id"]
FROM_LATER = {"input_task_ids": [WORKFLOW_ID], "quota": 2**70, "more": {"ä": [1.5, None, {}]}}
SENT = "sent to mri_cartesian_reco"


class House:
    """One task or workflow, read and replaced; `meanwhile` is what others do before each PUT ends."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.meanwhile: Callable[[dict[str, Any]], dict[str, Any]] = lambda row: row
        self.gone = False

    async def __call__(self, taken: Taken, writer: asyncio.StreamWriter) -> None:
        if taken.method == "PUT" and not self.row["is_frozen"]:
            self.row = self.row | json.loads(taken.body)
            self.row = self.meanwhile(self.row)
        elif taken.method == "PUT" or self.gone:
            writer.write(response(404, b'{"detail": "Task is frozen and cannot be deleted"}'))
            return
        writer.write(response(200, json.dumps(self.row).encode()))


@asynccontextmanager
async def _asking(
    answer: Answer, timeout_s: float = 2
) -> AsyncIterator[tuple[ExamManager, Server]]:
    async with serving(answer) as server:
        manager = ExamManager(server.uri, timeout_s=timeout_s)
        try:
            yield manager, server
        finally:
            await manager.close()


def _methods(server: Server) -> list[str]:
    return [one.method for one in server.taken]


async def test_a_workflow_is_given_with_its_tasks() -> None:
    async with _asking(says(200, WORKFLOW)) as (manager, server):
        given = await manager.get_workflow(WORKFLOW_ID.upper())
    assert [task.id for task in given.workflow.tasks] == [task["id"] for task in WORKFLOW["tasks"]]
    assert given.fields == WORKFLOW
    assert server.taken[0].target == f"/api/v1/exam/workflow/{WORKFLOW_ID}"
    assert "patient" not in repr(given)


async def test_a_task_is_given_with_all_that_a_newer_manager_adds() -> None:
    async with _asking(says(200, TASK | FROM_LATER)) as (manager, server):
        given = await manager.get_task(TASK_ID)
    assert given.task.input_task_ids == (WORKFLOW_ID,)
    assert given.fields == TASK | FROM_LATER
    assert server.taken[0].target == f"/api/v1/exam/task/{TASK_ID}"


async def test_a_put_is_the_contracts() -> None:
    async with _asking(House(TASK)) as (manager, server):
        await manager.update_task(await manager.get_task(TASK_ID), TaskStatus.IN_PROGRESS, SENT)
    put = server.taken[1]
    assert (put.method, put.target) == ("PUT", f"/api/v1/exam/task/{TASK_ID}")
    assert put.headers["content-type"] == "application/json"
    assert json.loads(put.body) == json.loads((EXAMPLES / "task-update-request.json").read_text())
    async with _asking(House(WORKFLOW)) as (manager, server):
        await manager.update_workflow(await manager.get_workflow(WORKFLOW_ID), is_finished=True)
    wanted = json.loads((EXAMPLES / "workflow-update-request.json").read_text())
    assert json.loads(server.taken[1].body) == wanted


async def test_what_only_a_newer_manager_knows_goes_back_as_it_came() -> None:
    async with _asking(House(TASK | FROM_LATER)) as (manager, server):
        given = await manager.set_task_status(TASK_ID, TaskStatus.COMPLETED, "done")
    assert _methods(server) == ["GET", "PUT", "GET"]
    assert json.loads(server.taken[1].body).items() >= FROM_LATER.items()
    assert given.fields == TASK | FROM_LATER | {"status": {"COMPLETED": "done"}}


async def test_a_status_that_stands_already_is_not_written_again() -> None:
    async with _asking(House(TASK | {"status": {"FAILED": "x"}})) as (manager, server):
        await manager.set_task_status(TASK_ID, TaskStatus.FAILED, "x")
        assert _methods(server) == ["GET"]
        given = await manager.set_task_status(TASK_ID, TaskStatus.FAILED, "y")
    assert given.task.status == {TaskStatus.FAILED: "y"}


async def test_what_somebody_else_changed_meanwhile_is_kept() -> None:
    house, others = House(TASK), iter([{"status": {"PENDING": "p"}, "args": {"a": "theirs"}}])
    house.meanwhile = lambda row: row | next(others, {})
    async with _asking(house) as (manager, server):
        given = await manager.set_task_status(TASK_ID, TaskStatus.IN_PROGRESS, SENT)
    assert _methods(server) == ["GET", "PUT", "GET", "PUT", "GET"]
    assert given.task.args == {"a": "theirs"}
    assert house.row["status"] == {"IN_PROGRESS": SENT}


def _complete(manager: ExamManager) -> Awaitable[object]:
    return manager.set_task_status(TASK_ID, TaskStatus.COMPLETED, "done")


def _finish(manager: ExamManager) -> Awaitable[object]:
    return manager.set_workflow_finished(WORKFLOW_ID)


@pytest.mark.parametrize(("row", "act"), [(TASK, _complete), (WORKFLOW, _finish)])
async def test_three_rounds_are_enough(
    row: dict[str, Any], act: Callable[[ExamManager], Awaitable[object]]
) -> None:
    house = House(row)
    house.meanwhile = lambda _: row
    async with _asking(house) as (manager, server):
        with pytest.raises(TransientError, match="others write"):
            await act(manager)
    assert _methods(server) == ["GET", "PUT"] * 3 + ["GET"]


async def test_a_workflow_is_finished_and_its_tasks_are_not_sent() -> None:
    house = House(WORKFLOW | {"later": 1})
    async with _asking(house) as (manager, server):
        given = await manager.set_workflow_finished(WORKFLOW_ID)
        assert given.workflow.is_finished
        await manager.set_workflow_finished(WORKFLOW_ID)
        assert _methods(server) == ["GET", "PUT", "GET", "GET"]
        await manager.set_workflow_finished(WORKFLOW_ID, is_finished=False)
    sent = json.loads(server.taken[1].body)
    assert "tasks" not in sent
    assert sent["later"] == 1
    assert house.row == WORKFLOW | {"later": 1}


async def test_what_is_frozen_is_not_asked_to_change() -> None:
    async with _asking(House(TASK | {"is_frozen": True})) as (manager, server):
        with pytest.raises(FrozenError, match="task is frozen"):
            await manager.set_task_status(TASK_ID, TaskStatus.COMPLETED, "done")
    assert _methods(server) == ["GET"]
    async with _asking(House(WORKFLOW | {"is_frozen": True})) as (manager, server):
        with pytest.raises(FrozenError, match="workflow is frozen"):
            await manager.set_workflow_finished(WORKFLOW_ID)
    assert _methods(server) == ["GET"]


async def test_what_was_frozen_or_deleted_meanwhile_is_told_apart() -> None:
    house = House(TASK)
    async with _asking(house) as (manager, _):
        task = await manager.get_task(TASK_ID)
        house.row = TASK | {"is_frozen": True}
        with pytest.raises(FrozenError) as caught:
            await manager.update_task(task, TaskStatus.COMPLETED, "done")
        assert caught.value.status == 404
        house.gone = True
        with pytest.raises(PermanentError, match="knows no such task") as gone:
            await manager.update_task(task, TaskStatus.COMPLETED, "done")
        assert not isinstance(gone.value, FrozenError)
    house = House(WORKFLOW)
    async with _asking(house) as (manager, _):
        workflow = await manager.get_workflow(WORKFLOW_ID)
        house.row = WORKFLOW | {"is_frozen": True}
        with pytest.raises(FrozenError):
            await manager.update_workflow(workflow, is_finished=True)


async def test_a_404_to_a_change_of_what_is_well_is_not_called_frozen() -> None:
    async def refuses(taken: Taken, writer: asyncio.StreamWriter) -> None:
        status = 404 if taken.method == "PUT" else 200
        writer.write(response(status, json.dumps(TASK).encode()))

    async with _asking(refuses) as (manager, _):
        with pytest.raises(PermanentError, match="takes no change") as caught:
            await manager.set_task_status(TASK_ID, TaskStatus.COMPLETED, "done")
    assert not isinstance(caught.value, FrozenError)


async def test_a_put_is_not_repeated_by_itself() -> None:
    async def drops_puts(taken: Taken, writer: asyncio.StreamWriter) -> None:
        await (drops if taken.method == "PUT" else says(200, TASK))(taken, writer)

    async with _asking(drops_puts) as (manager, server):
        with pytest.raises(TransientError) as caught:
            await manager.set_task_status(TASK_ID, TaskStatus.COMPLETED, "done")
    assert caught.value.sent
    assert _methods(server) == ["GET", "PUT"]


async def test_all_rounds_take_no_longer_than_one_attempt() -> None:
    async def slow(_: Taken, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(response(200, json.dumps(TASK).encode()))

    async with _asking(slow, timeout_s=0.5) as (manager, server):
        with pytest.raises(TransientError, match=r"in time when asked to set a task's status"):
            await manager.set_task_status(TASK_ID, TaskStatus.COMPLETED, "done")
    assert len(server.taken) <= 3
    async with _asking(is_silent, timeout_s=0.2) as (manager, _):
        with pytest.raises(TransientError, match="in time"):
            await manager.set_workflow_finished(WORKFLOW_ID)


@pytest.mark.parametrize("an_id", ["", "17", 17, "../all", "templates/all", WORKFLOW_ID + "/"])
async def test_an_id_that_is_no_uuid_is_not_asked_for(an_id: int | str) -> None:
    async with _asking(says(200, TASK)) as (manager, server):
        with pytest.raises(PermanentError, match="task's id is no UUID"):
            await manager.get_task(an_id)
        with pytest.raises(PermanentError, match="task's id is no UUID"):
            await manager.set_task_status(an_id, TaskStatus.COMPLETED, "")
        with pytest.raises(PermanentError, match="workflow's id is no UUID"):
            await manager.get_workflow(an_id)
    assert server.taken == []


async def test_another_task_than_asked_for_is_not_taken() -> None:
    async with _asking(says(200, TASK)) as (manager, _):
        with pytest.raises(TransientError, match="another task than asked"):
            await manager.get_task(WORKFLOW_ID)


async def test_an_unknown_one_is_final() -> None:
    async with _asking(says(404, {"detail": "Workflow not found"})) as (manager, _):
        with pytest.raises(PermanentError, match=r"knows no such workflow \(404\)") as caught:
            await manager.get_workflow(WORKFLOW_ID)
        assert caught.value.status == 404
        with pytest.raises(PermanentError, match="knows no such task"):
            await manager.set_task_status(TASK_ID, TaskStatus.COMPLETED, "")


async def test_what_is_too_large_is_final() -> None:
    async with _asking(sends(response(200, b" " * (TASK_MOST + 1)))) as (manager, _):
        with pytest.raises(PermanentError, match="task is too large"):
            await manager.get_task(TASK_ID)
    many = WORKFLOW | {"tasks": [TASK] * 2000}
    async with _asking(says(200, many)) as (manager, _):
        assert len((await manager.get_workflow(WORKFLOW_ID)).workflow.tasks) == 2000
    async with _asking(sends(response(200, b" " * (WORKFLOW_MOST + 1)))) as (manager, _):
        with pytest.raises(PermanentError, match="workflow is too large"):
            await manager.get_workflow(WORKFLOW_ID)


@pytest.mark.parametrize("deep", [980, 1020, 100_000])
async def test_an_answer_that_is_nested_too_deeply_does_no_harm(deep: int) -> None:
    raw = json.dumps(TASK)[:-1] + ', "x": ' + "[" * deep + "]" * deep + "}"
    async with _asking(sends(response(200, raw.encode()))) as (manager, _):
        with pytest.raises(TransientError, match=r"nested too deeply|not JSON"):
            await manager.get_task(TASK_ID)
