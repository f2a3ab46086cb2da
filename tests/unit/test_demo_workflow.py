"""The pure parts of the workflows' demo: what is checked, and that each broken promise is seen."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.workflow import WorkflowResponse
from sandbox.demo_workflow.plan import FIRST, PLANS, SECOND, Plan, seeds
from sandbox.demo_workflow.proof import (
    DONE,
    Facts,
    Known,
    orders_in,
    problems,
    read_lines,
    summary,
)

RECORD = {FIRST: "11", SECOND: "12"}


def answer(plan: Plan, status: str, *states: str) -> WorkflowResponse:
    tasks = [{"id": t, "status": s} for t, s in zip(plan.tasks, states, strict=True)]
    tasks[0]["record_id"] = RECORD[plan]
    return WorkflowResponse(workflow_id=plan.id, status=status, tasks=tasks)


def good() -> Facts:
    begins = ("IN_PROGRESS", "PENDING", "PENDING")
    goes_on = (DONE, DONE, "IN_PROGRESS")
    return Facts(
        answers={
            FIRST.id: [
                answer(FIRST, "running", *begins),
                answer(FIRST, "running", *goes_on),
                answer(FIRST, "completed", DONE, DONE, DONE),
            ],
            SECOND.id: [
                answer(SECOND, "running", *begins),
                answer(SECOND, "failed", DONE, DONE, "FAILED"),
                answer(SECOND, "running", *goes_on),
                answer(SECOND, "completed", DONE, DONE, DONE),
            ],
        },
        starts=["11", "12"],
        images=["11", "12"],
        orders={FIRST.denoising: [True], SECOND.denoising: [False, True]},
        known={
            plan.id: Known(finished=True, tasks=dict.fromkeys(plan.tasks, DONE)) for plan in PLANS
        },
        files=frozenset(plan.denoising for plan in PLANS),
    )


def test_what_is_as_promised_has_no_problem() -> None:
    assert problems(good()) == []
    assert summary(good(), [], Path("logs")) == (
        "demo-workflow: 2 of 2 workflows completed, one after a failure and a resume; each of their 6"
        " tasks done once, in order, and COMPLETED at the exam manager; checked: 7 answers, 2 STARTs in"
        " the scanner's own log, 2 images, 3 orders to the processing service"
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"starts": ["11", "12", "12"]}, "its scan was started 2 times"),
        ({"starts": ["11", "12", "13"]}, "3 scans were started, not 2"),
        ({"images": ["11"]}, "its image was made 0 times"),
        ({"orders": {FIRST.denoising: [True], SECOND.denoising: [False]}}, "denoising was failed"),
        ({"orders": {FIRST.denoising: [True, True]}}, "denoising was done, done"),
        ({"files": frozenset()}, "is not in the data lake"),
        ({"known": {}}, "task 1 is unknown at the exam manager"),
        ({"known": {}}, "it is not finished at the exam manager"),
        ({"answers": {}}, "it was never told of"),
        (
            {"answers": {FIRST.id: [answer(FIRST, "completed", DONE, "IN_PROGRESS", DONE)]}},
            "a task was begun before those before it were done",
        ),
        (
            {"answers": {SECOND.id: [answer(SECOND, "completed", DONE, DONE, DONE)]}},
            "it was completed, not running, failed, running, completed",
        ),
    ],
)
def test_a_broken_promise_is_seen(change: dict[str, Any], problem: str) -> None:
    found = problems(replace(good(), **change))
    assert any(problem in one for one in found), found
    assert "not as promised" in summary(good(), found, Path("logs"))


def test_an_order_that_came_twice_counts_once() -> None:
    one = {"task_id": "t", "message_id": "m1", "success": False}
    other = {"task_id": "t", "message_id": "m2", "success": True}
    assert orders_in([one, one, other]) == {"t": [False, True]}


def test_a_parts_own_lines_are_read(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert read_lines(log, "task_id") == []
    log.write_text('{"ready": true}\nnoise\n{"task_id": "t"}\n')
    assert read_lines(log, "task_id") == [{"task_id": "t"}]


def test_tasks_are_written_in_their_order_with_args_of_text() -> None:
    tasks = seeds()["tasks"]
    for plan in PLANS:
        mine = [task for task in tasks if task["workflow_id"] == plan.id]
        assert [task["id"] for task in mine] == list(plan.tasks)
        assert [task["datetime_created"] for task in mine] == sorted(
            task["datetime_created"] for task in mine
        )
        assert all(isinstance(text, str) for task in mine for text in task["args"].values())
        assert json.loads(mine[0]["args"]["acquisition_limits"])["Gender"]
