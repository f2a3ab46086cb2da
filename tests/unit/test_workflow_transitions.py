"""The states of docs/workflows.md: the drawing is the table, and each way of it is taken once."""

import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from agents.workflow.state import WorkflowRow
from agents.workflow.states import FIRST, RUNS, TASKS
from models.errors import TransientError
from models.events import ScanState
from models.managers import TaskStatus
from tests.unit.test_workflow_bench import WorkflowBench, run_through

DOCS: Final = Path(__file__).parents[2] / "docs" / "workflows.md"
Hop = tuple[str, str]
S = ScanState


def drawn(number: int) -> set[Hop]:
    """Give the arrows of a drawing; [*] is where it begins or ends."""
    drawings = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return set(re.findall(r"^ +(\S+) --> (\S+?)(?::.*)?$", drawings[number], re.MULTILINE))


def test_the_drawing_of_a_workflow_is_its_table() -> None:
    table: set[Hop] = {(start, goal) for start, goals in RUNS.items() for goal in goals}
    table |= {("[*]", goal) for goal in FIRST}
    table |= {(state, "[*]") for state, goals in RUNS.items() if not goals}
    assert drawn(0) == table


def test_the_drawing_of_a_task_is_its_table() -> None:
    table: set[Hop] = {(start, goal) for start, goals in TASKS.items() for goal in goals}
    table |= {("[*]", "PENDING"), ("COMPLETED", "[*]")}
    assert drawn(1) == table


def rows(bench: WorkflowBench) -> Iterator[tuple[WorkflowRow | None, WorkflowRow]]:
    """Give each change of a workflow that was written."""
    before: WorkflowRow | None = None
    for _, row in bench.rows.writes:
        assert isinstance(row, WorkflowRow)
        yield before, row
        before = row


def hops(bench: WorkflowBench) -> tuple[set[Hop], set[Hop]]:
    """Give all ways that a workflow and its tasks took, through PENDING where both are in one step."""
    runs: set[Hop] = set()
    tasks: set[Hop] = set()
    for before, row in rows(bench):
        if before is None:
            runs.add(("[*]", row.state))
            continue
        if before.state is not row.state:
            runs.add((before.state, row.state))
        for task in row.tasks:
            was = before.task(task.id)
            if was is None:
                continue
            if task.attempt > was.attempt and was.state != "PENDING":
                tasks |= {(was.state, "PENDING"), ("PENDING", task.state)}
            elif was.state is not task.state:
                tasks.add((was.state, task.state))
    return runs, tasks


def mark(bench: WorkflowBench, *numbers: int) -> None:
    """Mark tasks as COMPLETED at the exam manager, as a person may."""
    for number in numbers:
        key = bench.task_id(number)
        done = {"status": {TaskStatus.COMPLETED: "by hand"}, "artifacts": {"record_id": "7"}}
        bench.exams.tasks[key] = bench.exams.tasks[key].model_copy(update=done)


def away(bench: WorkflowBench, times: int = 1) -> None:
    bench.exams.errors["workflow"] = [TransientError("away", sent=False) for _ in range(times)]


def freeze(bench: WorkflowBench, *, yes: bool = True) -> None:
    assert bench.exams.workflow is not None
    bench.exams.workflow = bench.exams.workflow.model_copy(update={"is_frozen": yes})


async def waits(bench: WorkflowBench) -> None:
    away(bench)
    await bench.start()


async def waits_and_all_is_done(bench: WorkflowBench) -> None:
    await waits(bench)
    mark(bench, 0, 1, 2)
    await bench.pass_time(5)


async def waits_and_is_refused(bench: WorkflowBench) -> None:
    await waits(bench)
    freeze(bench)
    await bench.pass_time(5)


async def waits_and_runs(bench: WorkflowBench) -> None:
    await waits(bench)
    await bench.pass_time(5)


async def waits_and_is_cancelled(bench: WorkflowBench) -> None:
    await waits(bench)
    await bench.ask("cancel_workflow")
    await bench.ask("resume_workflow")


async def all_is_done(bench: WorkflowBench) -> None:
    mark(bench, 0, 1, 2)
    await bench.start()


async def refused(bench: WorkflowBench) -> None:
    freeze(bench)
    await bench.start()
    freeze(bench, yes=False)


async def refused_then_waits(bench: WorkflowBench) -> None:
    await refused(bench)
    await waits(bench)


async def refused_then_runs(bench: WorkflowBench) -> None:
    await refused(bench)
    await bench.start()


async def refused_then_done(bench: WorkflowBench) -> None:
    await refused(bench)
    await all_is_done(bench)


async def fails(bench: WorkflowBench) -> None:
    await bench.start()
    await bench.scan(S.FAILED)


async def fails_and_goes_on(bench: WorkflowBench) -> None:
    await fails(bench)
    await bench.ask("resume_workflow")


async def fails_and_is_done_by_hand(bench: WorkflowBench) -> None:
    await fails(bench)
    mark(bench, 0, 1, 2)
    await bench.ask("resume_workflow")


async def cancelled_while_a_service_works(bench: WorkflowBench) -> None:
    await bench.start()
    await bench.scan(S.ACQUIRED)
    await bench.reconstructed()
    await bench.ask("cancel_workflow")


async def cancelled_and_sent_again(bench: WorkflowBench) -> None:
    await cancelled_while_a_service_works(bench)
    await bench.ask("resume_workflow")


async def cancelled_and_done_all_the_same(bench: WorkflowBench) -> None:
    await cancelled_while_a_service_works(bench)
    await bench.complete(bench.task_id(2))
    await bench.ask("resume_workflow")


Scenario = Callable[[WorkflowBench], Awaitable[None]]
RUN_WAYS: Final[dict[Hop, Scenario]] = {
    ("[*]", "waiting"): waits,
    ("[*]", "running"): run_through,
    ("[*]", "completed"): all_is_done,
    ("[*]", "refused"): refused,
    ("waiting", "running"): waits_and_runs,
    ("waiting", "completed"): waits_and_all_is_done,
    ("waiting", "refused"): waits_and_is_refused,
    ("waiting", "cancelled"): waits_and_is_cancelled,
    ("refused", "waiting"): refused_then_waits,
    ("refused", "running"): refused_then_runs,
    ("refused", "completed"): refused_then_done,
    ("running", "completed"): run_through,
    ("running", "failed"): fails,
    ("running", "cancelled"): cancelled_while_a_service_works,
    ("failed", "running"): fails_and_goes_on,
    ("failed", "completed"): fails_and_is_done_by_hand,
    ("cancelled", "running"): cancelled_and_sent_again,
    ("cancelled", "completed"): cancelled_and_done_all_the_same,
}
TASK_WAYS: Final[dict[Hop, Scenario]] = {
    ("PENDING", "IN_PROGRESS"): run_through,
    ("PENDING", "COMPLETED"): fails_and_is_done_by_hand,
    ("IN_PROGRESS", "COMPLETED"): run_through,
    ("IN_PROGRESS", "FAILED"): fails,
    ("IN_PROGRESS", "CANCELLED"): cancelled_while_a_service_works,
    ("IN_PROGRESS", "PENDING"): fails,
    ("FAILED", "PENDING"): fails_and_goes_on,
    ("FAILED", "COMPLETED"): fails_and_is_done_by_hand,
    ("CANCELLED", "PENDING"): cancelled_and_sent_again,
    ("CANCELLED", "COMPLETED"): cancelled_and_done_all_the_same,
}


def test_each_way_has_a_test() -> None:
    assert set(RUN_WAYS) == drawn(0) - {("completed", "[*]")}
    assert set(TASK_WAYS) == drawn(1) - {("[*]", "PENDING"), ("COMPLETED", "[*]")}


@pytest.mark.parametrize("way", RUN_WAYS, ids="-".join)
async def test_a_workflow_takes_this_way(way: Hop) -> None:
    bench = WorkflowBench()
    await RUN_WAYS[way](bench)
    runs, tasks = hops(bench)
    assert way in runs
    assert runs <= drawn(0)
    assert tasks <= drawn(1)


@pytest.mark.parametrize("way", TASK_WAYS, ids="-".join)
async def test_a_task_takes_this_way(way: Hop) -> None:
    bench = WorkflowBench(task_retries=way == ("IN_PROGRESS", "PENDING"))
    await TASK_WAYS[way](bench)
    runs, tasks = hops(bench)
    assert way in tasks
    assert tasks <= drawn(1)
    assert runs <= drawn(0)


async def test_what_is_completed_never_goes_back() -> None:
    bench = WorkflowBench()
    await run_through(bench)
    row = bench.row()
    await bench.scan(S.FAILED)
    await bench.complete(bench.task_id(2), success=False)
    for kind in ("start_workflow", "resume_workflow", "cancel_workflow", "get_status"):
        assert (await bench.ask(kind)).status == "completed"
    assert bench.row() == row
