"""What is read out of a task, whatever the exam manager's era."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.managers import Task

EXAMPLES = Path(__file__).parents[1] / "contracts" / "examples"
TASK: dict[str, Any] = json.loads((EXAMPLES / "task-out.json").read_text())
OTHER_ID = "6f1f9a52-0d8c-4a58-9c11-6f2f7f0a1c55"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, None),
        ({"PENDING": ""}, "PENDING"),
        ({"COMPLETED": "", "PENDING": ""}, "COMPLETED"),
        ({"IN_PROGRESS": "", "ERROR": ""}, "ERROR"),
    ],
)
def test_of_several_statuses_the_furthest_counts(status: dict[str, str], state: str | None) -> None:
    assert Task.model_validate(TASK | {"status": status}).state == state


def test_tasks_are_in_the_order_in_which_they_were_made() -> None:
    tasks = [
        Task.model_validate(TASK | {"datetime_created": text})
        for text in ("2024-07-21T13:52:56.856335", "2024-07-21T15:52:56+02:00", "yesterday")
    ]
    assert [task.created for task in sorted(tasks, key=lambda task: task.created)] == [
        datetime(2024, 7, 21, 13, 52, 56, tzinfo=UTC),
        datetime(2024, 7, 21, 13, 52, 56, 856335, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ]


def test_inputs_are_none_unless_they_are_declared() -> None:
    assert Task.model_validate(TASK).input_task_ids is None
    assert Task.model_validate(TASK | {"input_task_ids": []}).input_task_ids == ()
    inputs = Task.model_validate(TASK | {"input_task_ids": [OTHER_ID]}).input_task_ids
    assert inputs == (OTHER_ID,)


def test_a_patients_measures_are_in_no_repr() -> None:
    assert "178.0" in str(TASK)
    assert "178.0" not in repr(Task.model_validate(TASK))
