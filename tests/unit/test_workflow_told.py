"""What services and scans say of tasks, and what the exam manager is told."""

from typing import Any

import pytest

from models import wire
from models.errors import PermanentError, TransientError
from models.events import ScanState
from models.steps import WorkflowStep
from streams.topics import partition_of
from tests.contracts.openapi import example
from tests.unit.test_workflow_bench import IMAGE, RECORD, WorkflowBench, run_through
from tests.unit.test_workflow_fakes import DENOISE, RECO_TOPIC


async def test_the_example_workflow_runs_to_its_end() -> None:
    bench = WorkflowBench()
    await run_through(bench)
    assert bench.row().state == "completed"
    assert bench.states() == ["COMPLETED"] * 3
    [job] = bench.jobs()
    assert (job.job_id, job.device_id, job.reconstruct) == (bench.task_id(0), "mri-0001", False)
    assert job.acquisition_limits is not None
    [asked] = bench.asked_records()
    assert (asked.record_id, asked.workflow_id, asked.attempt) == (RECORD, bench.id, 1)
    [event] = bench.events()
    assert event.input == {"record_id": RECORD, "input": IMAGE}, "not the placeholders"
    assert bench.once(DENOISE)[0].header["certified"] == b"true"
    assert not bench.producer.on(RECO_TOPIC), "a TaskEvent there ends the real worker"
    assert [answer.status for answer in bench.answers()] == ["running"] * 3 + ["completed"]
    assert bench.exams.written == [
        "c6c6 IN_PROGRESS", "c6c6 COMPLETED", "727e IN_PROGRESS", "727e COMPLETED",
        "e03d IN_PROGRESS", "e03d COMPLETED", "finished",
    ]  # fmt: skip
    assert not bench.items.rows, "open work is left"
    assert not bench.dead()


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "completed"),
        ({"success": False}, "failed"),
        ({"success": True}, "completed"),
        ({"status": "COMPLETED"}, "completed"),
        ({"status": "FAILED"}, "failed"),
        ({"status": "ERROR"}, "failed"),
        ({"status": "IN_PROGRESS"}, "running"),
        ({"status": "COMPLETED", "success": False}, "failed"),
    ],
)
async def test_both_forms_of_a_completion_are_taken(fields: dict[str, Any], state: str) -> None:
    bench = WorkflowBench()
    await bench.start()
    await bench.scan(ScanState.ACQUIRED)
    await bench.reconstructed()
    await bench.complete(bench.task_id(2), **fields)
    assert bench.row().state == state


async def test_a_completion_without_its_workflow_is_looked_up_and_moved() -> None:
    bench = WorkflowBench()
    await bench.start()
    await bench.scan(ScanState.ACQUIRED)
    await bench.reconstructed()
    bench.exams.errors["task"] = [TransientError("away", sent=False)]
    other = (bench.partition + 1) % 8
    body = {"task_id": bench.task_id(2), "status": "COMPLETED"}
    await bench.take(bench.message(wire.TASK_COMPLETIONS, body, key=None, partition=other))
    await bench.pass_time(3)
    [moved] = bench.producer.on(wire.TASK_COMPLETIONS)
    assert (moved.key, moved.partition) == (bench.id.encode(), bench.partition)
    assert moved.partition == partition_of(bench.id.encode(), 8)
    assert not [key for key in bench.items.rows if "route/" in key[1]]
    await bench.take(bench._read_back(moved))
    assert bench.row().state == "completed"
    assert not bench.dead()


@pytest.mark.parametrize(
    "body",
    [
        {"task_id": "e03d154f-020a-4489-a4e4-0ee5bf700a28", "status": "DONE"},
        {"task_id": "e03d154f-0000-4489-a4e4-0ee5bf700a28"},
        {"success": True},
    ],
)
async def test_a_completion_that_can_not_be_meant_is_a_dead_letter(body: dict[str, Any]) -> None:
    bench = WorkflowBench()
    await run_through(bench)
    for workflow in ({"workflow_id": bench.id}, {}):
        await bench.take(bench.message(wire.TASK_COMPLETIONS, {**body, **workflow}))
    letters = bench.dead()
    assert len(letters) == 2
    assert {letter.header[wire.DEAD_CAUSE] for letter in letters} == {b"invalid"}


async def test_a_late_completion_changes_nothing_and_is_answered() -> None:
    bench = WorkflowBench()
    await run_through(bench)
    version = bench.row().version
    await bench.complete(bench.task_id(2), success=False)
    assert bench.row().version == version
    assert "came late" in bench.answers()[-1].notes[-1]
    await bench.complete(bench.task_id(0))
    assert "its scan tells" in bench.answers()[-1].notes[-1]


async def test_a_held_or_unknown_scan_fails_nothing() -> None:
    bench = WorkflowBench()
    await bench.start()
    for state in (ScanState.HELD, ScanState.UNKNOWN, ScanState.RUNNING):
        await bench.scan(state)
    assert bench.states()[0] == "IN_PROGRESS"


async def test_scans_of_workflows_that_are_not_run_here_are_nobodys_business() -> None:
    bench = WorkflowBench()
    step = {"kind": "scan", "workflow_id": bench.id, "state": "COMPLETED", "request_id": "r"}
    await bench.take(bench.message(wire.WORKFLOW_STEPS, WorkflowStep.model_validate(step)))
    assert not bench.producer.sent
    assert not bench.rows.rows


async def test_a_scan_without_a_reconstruction_of_the_workflows_own_counts_when_it_has_its_image() -> (
    None
):
    given = example("workflow-out")
    bench = WorkflowBench({**given, "tasks": [given["tasks"][0], given["tasks"][2]]})
    await bench.start()
    assert bench.jobs()[0].reconstruct is None
    await bench.scan(ScanState.ACQUIRED)
    assert bench.states() == ["IN_PROGRESS", "PENDING"]
    await bench.scan(ScanState.COMPLETED)
    assert bench.states() == ["COMPLETED", "IN_PROGRESS"]
    assert bench.events(DENOISE)[0].input["record_id"] == RECORD


async def test_the_exam_manager_being_away_delays_its_statuses_and_nothing_else() -> None:
    bench = WorkflowBench()
    bench.exams.errors["status"] = [TransientError("away", sent=False) for _ in range(20)]
    await run_through(bench)
    assert bench.row().state == "completed"
    assert bench.exams.written == []
    assert bench.exams.asked.count("status") == 1, "the rest waits behind it, and it for its time"
    bench.exams.errors["status"].clear()
    await bench.pass_time(30)
    assert bench.exams.written == [
        "c6c6 IN_PROGRESS", "c6c6 COMPLETED", "727e IN_PROGRESS", "727e COMPLETED",
        "e03d IN_PROGRESS", "e03d COMPLETED", "finished",
    ]  # fmt: skip
    assert not bench.items.rows


async def test_a_frozen_task_is_announced_and_not_fatal() -> None:
    bench = WorkflowBench()
    bench.exams.errors["status"] = [PermanentError("the task is frozen: its status stays as it is")]
    await run_through(bench)
    answer = await bench.ask("get_status")
    assert answer.status == "completed"
    assert len(answer.notes) == 1
    assert "frozen" in answer.notes[0]


async def test_a_service_that_says_nothing_is_announced_once() -> None:
    bench = WorkflowBench(processing_s=60)
    await bench.start()
    await bench.scan(ScanState.ACQUIRED)
    await bench.reconstructed()
    await bench.pass_time(200)
    assert bench.states()[2] == "IN_PROGRESS"
    assert [note for note in bench.row().notes if "no completion for 60 s" in note] == [
        f"task {bench.task_id(2)}, attempt 1: no completion for 60 s"
    ]
    await bench.complete(bench.task_id(2))
    assert bench.row().state == "completed"
    assert not bench.items.rows


async def test_a_topic_that_went_away_fails_its_task_and_not_the_worker() -> None:
    bench = WorkflowBench()
    await bench.start()
    await bench.scan(ScanState.ACQUIRED)
    bench.exams.topics.clear()
    await bench.reconstructed()
    assert bench.row().state == "failed"
    assert "does not exist" in bench.row().reasons[0]
    assert not bench.events()
    assert bench.exams.written[-1] == "e03d FAILED"
