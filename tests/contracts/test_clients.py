"""Our clients and `doctor` at the simulated managers, in each era, with and without tokens."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from commands.check_managers import check_managers
from managers import FrozenError, open_managers
from managers import Managers as Clients
from models.errors import PermanentError, TransientError
from models.managers import TaskStatus
from sandbox.managers.login import PASSWORD, USER
from sandbox.managers.run import Era
from settings import RecordsDialect, Settings
from tests.contracts.conftest import Client, Managers
from tests.contracts.openapi import example

WORKFLOW_ID = example("workflow-out")["id"]
TASKS = [task["id"] for task in example("task-list")]
JOBS = {"integer": "17", "uuid": "6a3b7ebb-ae8c-4bce-be04-7d0c14a44158"}


@asynccontextmanager
async def clients(served: Client, folder: Path, *, tokens: bool = False) -> AsyncIterator[Clients]:
    services, file = served.addresses.services, folder / "password"
    file.write_text(PASSWORD)
    login: dict[str, Any] = {
        "login_uri": services["login"],
        "user": USER,
        "password_file": file,
    }
    opened = open_managers(
        device_uri=services["device"],
        sequence_uri=services["sequence"],
        exam_uri=services["exam"],
        cache_s=0,
        **(login if tokens else {}),
    )
    try:
        yield opened
    finally:
        await opened.close()


def lines(log: Path) -> list[tuple[str, int]]:
    told = [json.loads(line) for line in log.read_text().splitlines()]
    return [(one["path"], one["status"]) for one in told]


@pytest.mark.parametrize("era", ["none", "inputs"])
async def test_a_workflow_is_run_through(managers: Managers, tmp_path: Path, era: Era) -> None:
    served = await managers(era)
    async with clients(served, tmp_path) as opened:
        exams = opened.exams
        workflow = (await exams.get_workflow(WORKFLOW_ID)).workflow
        in_order = sorted(workflow.tasks, key=lambda task: task.created)
        assert [task.id for task in in_order] == TASKS
        inputs = {task.input_task_ids for task in in_order}
        assert inputs == ({None} if era == "none" else {()})
        for task in in_order:
            await exams.set_task_status(task.id, TaskStatus.IN_PROGRESS, "sent")
            await exams.set_task_status(task.id, TaskStatus.COMPLETED, "done")
        await exams.set_workflow_finished(WORKFLOW_ID)
        ended = (await exams.get_workflow(WORKFLOW_ID)).workflow
    assert ended.is_finished
    assert {task.state for task in ended.tasks} == {TaskStatus.COMPLETED}
    assert {task.workflow_id for task in ended.tasks} == {WORKFLOW_ID}


async def test_inputs_survive_a_change_of_the_status(managers: Managers, tmp_path: Path) -> None:
    served = await managers("inputs")
    seed = {"tasks": [example("task-list")[1] | {"input_task_ids": [TASKS[0]]}]}
    await served.control("exam", "POST", "seed", seed)
    async with clients(served, tmp_path) as opened:
        given = await opened.exams.set_task_status(TASKS[1], TaskStatus.FAILED, "x")
    assert given.task.input_task_ids == (TASKS[0],)


async def test_what_is_frozen_stays(managers: Managers, tmp_path: Path) -> None:
    served = await managers("none")
    frozen = {"is_frozen": True}
    seed = {
        "workflows": [example("workflow-out") | frozen],
        "tasks": [example("task-list")[0] | frozen],
    }
    async with clients(served, tmp_path) as opened:
        task = await opened.exams.get_task(TASKS[0])
        await served.control("exam", "POST", "seed", seed)
        with pytest.raises(FrozenError):
            await opened.exams.update_task(task, TaskStatus.COMPLETED, "done")
        with pytest.raises(FrozenError):
            await opened.exams.set_task_status(TASKS[0], TaskStatus.COMPLETED, "done")
        with pytest.raises(FrozenError):
            await opened.exams.set_workflow_finished(WORKFLOW_ID)
        with pytest.raises(PermanentError, match="knows no such task"):
            await opened.exams.get_task("00000000-0000-4000-8000-000000000000")


async def test_two_who_write_at_once_both_end_well(managers: Managers, tmp_path: Path) -> None:
    served = await managers("none")
    async with clients(served, tmp_path) as ours, clients(served, tmp_path) as theirs:
        both = [
            ours.exams.set_task_status(TASKS[0], TaskStatus.COMPLETED, "ours"),
            theirs.exams.set_task_status(TASKS[1], TaskStatus.FAILED, "theirs"),
        ]
        given = await asyncio.gather(*both)
    assert [one.task.state for one in given] == [TaskStatus.COMPLETED, TaskStatus.FAILED]


@pytest.mark.parametrize("era", ["integer", "uuid"])
async def test_a_token_that_ended_costs_one_login_and_no_second_record(
    managers: Managers, tmp_path: Path, era: Era
) -> None:
    log = tmp_path / "log.jsonl"
    served = await managers(era, tokens=True, log=log)
    async with clients(served, tmp_path, tokens=True) as opened:
        await opened.exams.create_record(JOBS[era], "first")
        await served.control("login", "POST", "end-tokens")
        await asyncio.gather(
            *(opened.exams.create_record(JOBS[era], f"{n}") for n in range(10)),
            *(opened.devices.device_location_request("mri-0001") for _ in range(5)),
            *(opened.sequences.retrieve_sequence(example("sequence-out")["_id"]) for _ in range(5)),
        )
        records = await opened.exams.list_records(JOBS[era])
    assert len(records) == len({record.comment for record in records}) == 11
    assert [status for path, status in lines(log) if path.endswith("/login")] == [200, 200]


async def test_a_wrong_password_waits_and_tells(managers: Managers, tmp_path: Path) -> None:
    served = await managers("none", tokens=True, users={USER: "another one"})
    async with clients(served, tmp_path, tokens=True) as opened:
        with pytest.raises(TransientError, match="refuses the user"):
            await opened.exams.get_workflow(WORKFLOW_ID)


def settings(served: Client, folder: Path, records: str, *, tokens: bool) -> Settings:
    services, file = served.addresses.services, folder / "password"
    file.write_text(PASSWORD)
    login = {
        "login_manager_uri": services["login"],
        "user": USER,
        "password_file": file,
    }
    return Settings(
        exam_manager_uri=services["exam"],
        device_manager_uri=services["device"],
        sequence_manager_uri=services["sequence"],
        records=RecordsDialect(records),
        **(login if tokens else {}),
    )


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize(
    ("era", "records"),
    [("integer", "integer"), ("uuid", "uuid"), ("none", "task"), ("inputs", "task")],
)
async def test_doctor_tells_which_setting_fits(
    managers: Managers, tmp_path: Path, era: Era, records: str, tokens: bool
) -> None:
    served = await managers(era, tokens=tokens)
    checks = await check_managers(settings(served, tmp_path, records, tokens=tokens))
    assert [check.line for check in checks if not check.right] == []
    assert {check.what for check in checks} >= {"records", "login"} if tokens else {"records"}
    other = "uuid" if records == "task" else "task"
    checks = await check_managers(settings(served, tmp_path, other, tokens=tokens))
    (cross,) = (check for check in checks if check.right is False)
    assert f"set SCANHUB_RECORDS={records}" in cross.sentence
    assert await served.control("exam", "GET", "records") == []


async def test_doctor_tells_a_login_that_does_not_work(managers: Managers, tmp_path: Path) -> None:
    served = await managers("none", tokens=True, users={USER: "another one"})
    given = settings(served, tmp_path, "task", tokens=True)
    checks = {check.what: check for check in await check_managers(given)}
    assert checks["login"].right is False
    assert "does not take SCANHUB_USER" in checks["login"].sentence
    assert checks["login manager"].right is True
    without = settings(served, tmp_path, "task", tokens=False)
    checks = {check.what: check for check in await check_managers(without)}
    assert "LOGIN_MANAGER_URI is needed" in checks["exam manager"].sentence


async def test_doctor_tells_a_token_that_is_not_taken(managers: Managers, tmp_path: Path) -> None:
    served, elsewhere = await managers("none", tokens=True), await managers("none", tokens=True)
    given = settings(served, tmp_path, "task", tokens=True)
    given = given.model_copy(update={"login_manager_uri": elsewhere.addresses.services["login"]})
    checks = {check.what: check for check in await check_managers(given)}
    assert "refuses the token" in checks["exam manager"].sentence
    assert checks["login"].right is True
    (tmp_path / "password").unlink()
    checks = {check.what: check for check in await check_managers(given)}
    assert "can't be read" in checks["login"].sentence
    given = given.model_copy(update={"login_manager_uri": served.addresses.services["exam"]})
    (tmp_path / "password").write_text(PASSWORD)
    checks = {check.what: check for check in await check_managers(given)}
    assert "HTTP 404" in checks["login"].sentence
    shown = " ".join(check.line for check in checks.values())
    assert PASSWORD not in shown
