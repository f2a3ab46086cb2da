"""Which task comes next, what it is given, and what is checked before: plain functions."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.workflow import check, decide, order, writing
from agents.workflow.check import Plan, Rules
from agents.workflow.decide import Moment
from agents.workflow.state import MOST_GROWN, TaskKind, TaskRow, WorkflowRow
from models.errors import PermanentError
from models.managers import Workflow
from models.workflow import RunState, TaskState
from settings import DeviceDialect, RecordsDialect
from tests.contracts.openapi import example

RULES = Rules(
    records=RecordsDialect.UUID,
    dialect=DeviceDialect.TASK,
    reco_topic="mri_cartesian_reco",
    allowed=frozenset({"mri_cartesian_reco", "mri_denoise"}),
)
WHEN = Moment("mark", 5, 6)
WORKFLOW = "6f1f9a52-0d8c-4a58-9c11-6f2f7f0a1c55"


def uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def task(number: int, *inputs: int, kind: TaskKind = TaskKind.SERVICE, **fields: Any) -> TaskRow:
    """Make a task that is the `number`th in time, with inputs if some are given (-1: none)."""
    return TaskRow.model_validate(
        {
            "id": uid(number),
            "type": "PROCESSING_TASK",
            "kind": kind,
            "created": f"2024-07-21T13:52:{number:02d}",
            "topic": "t",
            "inputs": [uid(one) for one in inputs if one >= 0] if inputs else None,
            **fields,
        }
    )


def running(*tasks: TaskRow) -> WorkflowRow:
    return decide.starts(None, WORKFLOW, order.in_order(tasks), WHEN)


def at_work(row: WorkflowRow) -> set[int]:
    return {int(t.key[-3:]) for t in row.tasks if t.state is TaskState.IN_PROGRESS}


def end(row: WorkflowRow, number: int, state: TaskState = TaskState.COMPLETED) -> WorkflowRow:
    one = row.task(uid(number))
    assert one is not None
    return decide.ends(row, one, state, WHEN, retries=0)


def plan(given: dict[str, Any], *, resume: bool = False, rules: Rules = RULES) -> Plan:
    return check.plan(Workflow.model_validate(given), None, rules, resume=resume)


@given(st.permutations(range(6)))
def test_without_inputs_tasks_run_one_by_one_as_they_were_made(numbers: list[int]) -> None:
    row = running(*(task(number) for number in numbers))
    for number in range(6):
        assert at_work(row) == {number}
        row = end(row, number)
    assert row.state is RunState.COMPLETED


def test_tasks_of_one_moment_run_by_their_ids() -> None:
    tasks = [task(n, created="2024-07-21T13:52:00") for n in (3, 1, 2)]
    assert [t.key for t in order.in_order(tasks)] == [uid(1), uid(2), uid(3)]
    late = task(0, created="no time")
    assert order.in_order([late, *tasks])[-1] == late


def test_with_inputs_all_that_is_ready_runs_side_by_side() -> None:
    row = running(task(0, -1), task(1, 0), task(2, 0), task(3, 1, 2))
    assert at_work(row) == {0}
    row = end(row, 0)
    assert at_work(row) == {1, 2}
    row = end(row, 2)
    assert at_work(row) == {1}
    row = end(row, 1)
    assert at_work(row) == {3}
    assert end(row, 3).state is RunState.COMPLETED


def test_a_failed_branch_ends_the_run_and_the_other_ones_end_is_still_taken() -> None:
    row = running(task(0, -1), task(1, -1), task(2, 0, 1))
    row = end(row, 0, TaskState.FAILED)
    assert (row.state, at_work(row)) == (RunState.FAILED, {1})
    row = end(row, 1)
    assert (row.state, at_work(row)) == (RunState.FAILED, set())
    assert [t.state for t in row.tasks] == ["FAILED", "COMPLETED", "PENDING"]


@given(st.integers(2, 12), st.integers(0, 2**30))
def test_any_workflow_without_circles_ends_with_every_task_done_once(size: int, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - it must repeat
    graph = {n: dice.sample(range(n), dice.randint(0, min(n, 3))) for n in range(size)}
    row = running(*(task(n, -1, *inputs) for n, inputs in graph.items()))
    done: set[int] = set()
    while row.state is RunState.RUNNING:
        for number in at_work(row):
            assert done.issuperset(graph[number])
        number = dice.choice(sorted(at_work(row)))
        row = end(row, number)
        done.add(number)
    assert row.state is RunState.COMPLETED
    assert done == set(range(size))
    assert {t.attempt for t in row.tasks} == {1}


def test_what_the_task_before_produced_wins_over_placeholders() -> None:
    done = TaskState.COMPLETED
    first = task(0, state=done, artifacts={"record_id": "7", "input": "a", "x": "1"})
    second = task(1, state=done, artifacts={"input": "b"})
    last = task(2, args={"record_id": "42", "input": "c", "mode": "soft"})
    event = writing.task_event([first, second, last], last)
    assert event.input == {"record_id": "7", "input": "b", "x": "1", "mode": "soft"}
    apart = last.model_copy(update={"inputs": (uid(0),)})
    assert order.given([first, second, apart], apart)["input"] == "a", "only of its own inputs"


def test_a_scan_is_reconstructed_by_the_nearest_task_of_the_workflow_only() -> None:
    device, reco = TaskKind.DEVICE, TaskKind.RECONSTRUCTION
    tasks = [task(0, kind=device), task(1, kind=device), task(2, kind=reco)]
    assert order.reconstructs_itself(tasks, tasks[0])
    assert not order.reconstructs_itself(tasks, tasks[1])
    done = tasks[2].model_copy(update={"state": TaskState.COMPLETED})
    assert order.reconstructs_itself([*tasks[:2], done], tasks[1])


def test_what_a_task_produced_has_room_or_it_failed() -> None:
    row = running(task(0))
    big = {"x": "a" * (MOST_GROWN + 1)}
    ended = decide.ends(row, row.tasks[0], TaskState.COMPLETED, WHEN, retries=0, artifacts=big)
    assert ended.state is RunState.FAILED
    assert "artifacts" in ended.reasons[0]
    assert len(ended.to_bytes()) < 10_000


def test_too_many_inputs_are_not_sent() -> None:
    first = task(0, state="COMPLETED", artifacts={f"a{n}": "" for n in range(256)})
    last = task(1, args={"input": "x"})
    with pytest.raises(PermanentError, match="257 entries"):
        writing.task_event([first, last], last)


@pytest.mark.parametrize("text", ["5", "-3", "high", "", "5000", "1.5"])
def test_a_priority_counts_if_a_job_may_have_it(text: str) -> None:
    args = {**example("workflow-out")["tasks"][0]["args"], "priority": text}
    one = task(0, kind=TaskKind.DEVICE, device="d", args=args, type="DEVICE_TASK")
    assert writing.scan_job(WORKFLOW, one).priority == {"5": 5, "-3": -3}.get(text, 0)


def test_the_example_is_planned_without_a_reason() -> None:
    planned = plan(example("workflow-out"))
    assert planned.reasons == ()
    assert [t.kind for t in planned.tasks] == ["device", "reconstruction", "service"]


def statuses(*names: str) -> dict[str, Any]:
    given: dict[str, Any] = example("workflow-out")
    for one, name in zip(given["tasks"], names, strict=True):
        one["status"] = {name: "by somebody"}
    return given


def test_tasks_of_others_are_refused_by_a_start_and_taken_over_by_resume() -> None:
    given = statuses("IN_PROGRESS", "FAILED", "ERROR")
    told = " ".join(plan(given).reasons)
    assert "somebody else runs it; resume takes it over" in told
    assert told.count("resume goes on from there") == 2
    assert plan(given, resume=True).reasons == ()


def test_what_is_done_at_the_exam_manager_counts_as_done() -> None:
    given = statuses("COMPLETED", "PENDING", "PENDING")
    assert "record of the scan before it is not known" in plan(given).reasons[0]
    given["tasks"][0]["artifacts"] = {"record_id": "5f9f2a00-0000-4000-8000-000000000001"}
    planned = plan(given)
    assert (planned.reasons, planned.tasks[0].state) == ((), TaskState.COMPLETED)
    given["tasks"][0]["artifacts"] = {}
    tasks = RULES.__class__(
        records=RecordsDialect.TASK, dialect=RULES.dialect,
        reco_topic=RULES.reco_topic, allowed=RULES.allowed,
    )  # fmt: skip
    assert plan(given, rules=tasks).tasks[0].artifacts == {"record_id": given["tasks"][0]["id"]}


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([[], [2], [1]], "circle"),
        ([[], [9], []], "not in the workflow"),
    ],
)
def test_tangled_inputs_are_refused(inputs: list[list[int]], reason: str) -> None:
    given = example("workflow-out")
    ids = [one["id"] for one in given["tasks"]]
    for one, numbers in zip(given["tasks"], inputs, strict=True):
        one["input_task_ids"] = [ids[n] if n < 3 else uid(n) for n in numbers]
    assert reason in plan(given).reasons[0]


def test_without_any_input_named_the_order_is_that_of_time() -> None:
    given = example("workflow-out")
    for one in given["tasks"]:
        one["input_task_ids"] = []
    assert {one.inputs for one in plan(given).tasks} == {None}


def test_a_service_needs_an_input_from_somewhere() -> None:
    given = example("workflow-out")
    given["tasks"] = given["tasks"][2:]
    planned = plan(given)
    assert planned.reasons == ()
    assert check.needs_file(planned.tasks, planned.tasks[0]), "then it must lie in the data lake"
    given["tasks"][0]["args"] = {}
    assert "nobody produces its input" in plan(given).reasons[0]


def test_a_reconstruction_needs_a_scan_or_a_record() -> None:
    given = example("workflow-out")
    given["tasks"] = given["tasks"][1:2]
    assert plan(given).reasons == (), "its args name a record"
    given["tasks"][0]["args"] = {"record_id": "the last one"}
    assert "no scan comes before it" in plan(given).reasons[0]


def test_a_workflow_has_its_limits() -> None:
    given = example("workflow-out")
    one = given["tasks"][2]
    given["tasks"] = [{**one, "id": uid(n)} for n in range(257)]
    assert "257 tasks, at most 256" in plan(given).reasons[0]
    given["tasks"] = [{**one, "id": uid(n), "args": {"x": "a" * 65_000}} for n in range(20)]
    assert "larger than" in plan(given).reasons[0]
    given["tasks"] = [one, one]
    assert plan(given).reasons == ("two tasks have one id",)
    with_bad = [{**one, "id": uid(n), "destinations": {}} for n in range(256)]
    assert len(plan({**given, "tasks": with_bad}).reasons) <= check.MOST_REASONS + 1
