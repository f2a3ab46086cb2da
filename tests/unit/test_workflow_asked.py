"""What people ask of a workflow, and what its tasks say: each gets its clear answer, once."""

from typing import Any

import pytest

from models import wire
from models.errors import PermanentError, TransientError
from models.events import ScanState
from models.wire import REROUTED_TIME
from tests.contracts.openapi import example
from tests.unit.test_workflow_bench import WorkflowBench


def changed(**fields: Any) -> dict[str, Any]:
    return {**example("workflow-out"), **fields}


def with_tasks(*changes: dict[str, Any]) -> dict[str, Any]:
    """Give the example workflow with fields of its tasks replaced."""
    given = example("workflow-out")
    tasks = [{**task, **change} for task, change in zip(given["tasks"], changes, strict=False)]
    return {**given, "tasks": tasks}


async def test_a_second_start_starts_nothing_and_tells_the_state() -> None:
    bench = WorkflowBench()
    await bench.start()
    asked = bench.exams.asked.count("workflow")
    answer = await bench.start()
    assert (answer.status, len(bench.jobs())) == ("running", 1)
    assert bench.exams.asked.count("workflow") == asked
    assert len({one.at for one in bench.answers()}) >= 1


async def test_the_state_tells_tasks_and_no_args() -> None:
    bench = WorkflowBench()
    await bench.start()
    answer = await bench.ask("get_status")
    assert [task["status"] for task in answer.tasks] == ["IN_PROGRESS", "PENDING", "PENDING"]
    assert answer.tasks[0]["destinations"] == {"device": "mri-0001"}
    for sent in bench.producer.on(wire.WORKFLOW_RESPONSES):
        assert b"args" not in (sent.value or b"")
        assert b"patient" not in (sent.value or b"")


async def test_an_unknown_workflow_is_unknown_and_leaves_no_row() -> None:
    bench = WorkflowBench()
    bench.exams.workflow = None
    answer = await bench.start()
    assert (answer.status, answer.tasks) == ("unknown", ())
    assert answer.reasons == ("the exam manager knows no such workflow (404)",)
    assert (await bench.ask("get_status")).status == "unknown"
    assert (await bench.ask("cancel_workflow")).status == "unknown"
    assert not bench.rows.rows


async def test_an_id_that_is_none_leaves_no_row() -> None:
    bench = WorkflowBench()
    bench.exams.errors["workflow"] = [PermanentError("the workflow's id is no UUID")]
    answer = await bench.start()
    assert (answer.status, answer.reasons) == ("unknown", ("the workflow's id is no UUID",))
    assert not bench.rows.rows


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"is_template": True}, "failed", "template"),
        ({"is_frozen": True}, "failed", "frozen"),
        ({"tasks": []}, "failed", "no tasks"),
        ({"is_finished": True}, "completed", "finished"),
    ],
)
async def test_what_can_not_be_run_is_refused_clearly(
    fields: dict[str, Any], status: str, reason: str
) -> None:
    bench = WorkflowBench(changed(**fields))
    answer = await bench.start()
    assert answer.status == status
    assert reason in answer.reasons[0]
    assert not bench.jobs()
    assert (await bench.ask("get_status")).reasons == answer.reasons
    bench.exams.put(example("workflow-out"))
    assert (await bench.start()).status == "running", "a person has put it right"


async def test_every_reason_is_given_at_once() -> None:
    bench = WorkflowBench(
        with_tasks(
            {"args": {"sequence_id": "s", "acquisition_limits": "{", "sequence_parameters": "[]"}},
            {},
            {"destinations": {"topic": "secret"}},
        )
    )
    bench.exams.errors["topics"] = [TransientError("the broker does not answer")]
    bench.exams.errors["device"] = [PermanentError("the device manager knows no such device (404)")]
    answer = await bench.start()
    told = " ".join(answer.reasons)
    for part in ("JSON text", "sequence_parameters", "secret", "no such device", "broker"):
        assert part in told
    assert not bench.jobs()


async def test_limits_outside_of_promise_10_are_refused_without_their_value() -> None:
    limits = '{"patient_height": 1.78, "patient_weight": 74.5, "patient_age": 41}'
    task = example("workflow-out")["tasks"][0]
    bench = WorkflowBench(
        with_tasks({"args": {**task["args"], "acquisition_limits": limits}}, {}, {})
    )
    answer = await bench.start()
    assert "patient_height is outside of 20 to 260 cm" in answer.reasons[0]
    assert "1.78" not in " ".join(answer.reasons)


async def test_a_start_waits_for_a_manager_and_then_goes_on_as_old_as_it_is() -> None:
    bench = WorkflowBench()
    born = bench.clock.now_ms
    bench.exams.errors["sequence"] = [TransientError("away", sent=False) for _ in range(4)]
    answer = await bench.start()
    assert (answer.status, answer.reasons) == ("running", ("it waits: away",))
    await bench.pass_time(30)
    assert len(bench.jobs()) == 1
    header = bench.once(wire.SCAN_JOBS)[0].header
    assert header[REROUTED_TIME] == str(born).encode(), (
        "its device holds it if that is too long ago"
    )
    assert not bench.items.rows
    assert [one.status for one in bench.answers()] == ["running", "running"]


async def test_a_start_that_waits_can_be_cancelled() -> None:
    bench = WorkflowBench()
    bench.exams.errors["workflow"] = [TransientError("away", sent=False) for _ in range(99)]
    await bench.start()
    assert (await bench.ask("cancel_workflow")).status == "cancelled"
    bench.exams.errors.clear()
    await bench.pass_time(30)
    assert not bench.jobs()
    assert not bench.items.rows


async def test_a_resume_that_waits_can_be_cancelled_and_does_not_seem_to_wait_for_ever() -> None:
    bench = WorkflowBench()
    await bench.start()
    await bench.scan(ScanState.FAILED)
    bench.exams.errors["workflow"] = [TransientError("away", sent=False) for _ in range(99)]
    waits = await bench.ask("resume_workflow")
    assert waits.reasons[0].startswith("it waits")
    answer = await bench.ask("cancel_workflow")
    assert (answer.status, answer.reasons) == ("failed", ("the resume that waited was cancelled",))
    bench.exams.errors.clear()
    await bench.pass_time(30)
    assert len(bench.jobs()) == 1


async def test_a_failed_task_ends_the_run_and_resume_goes_on_from_it() -> None:
    bench = WorkflowBench()
    await bench.start()
    await bench.scan(ScanState.FAILED, cause="the device refused (400) (not started)")
    assert bench.row().state == "failed"
    assert "the device refused" in bench.row().reasons[0]
    assert bench.exams.written[-1] == "c6c6 FAILED"
    answer = await bench.start()
    assert "resume_workflow" in answer.notes[-1]
    answer = await bench.ask("resume_workflow")
    assert (answer.status, answer.reasons) == ("running", ())
    first, second = bench.once(wire.SCAN_JOBS)
    assert first.header["request-id"] != second.header["request-id"]
    await bench.scan(ScanState.ACQUIRED, number=0)
    assert bench.states()[0] == "IN_PROGRESS", "the first attempt's scan is no news of the second"
    await bench.scan(ScanState.ACQUIRED)
    await bench.reconstructed()
    await bench.complete(bench.task_id(2))
    assert bench.row().state == "completed"


async def test_a_task_is_tried_again_as_often_as_the_setting_says() -> None:
    bench = WorkflowBench(task_retries=1)
    await bench.start()
    await bench.scan(ScanState.FAILED)
    assert (bench.row().state, bench.states()[0]) == ("running", "IN_PROGRESS")
    assert len(bench.jobs()) == 2
    await bench.scan(ScanState.FAILED)
    assert bench.row().state == "failed"
    await bench.ask("resume_workflow")
    await bench.scan(ScanState.FAILED)
    assert bench.row().state == "running", "resume counts anew"


async def test_a_cancelled_run_tells_its_scan_and_the_scan_decides() -> None:
    bench = WorkflowBench()
    await bench.start()
    answer = await bench.ask("cancel_workflow")
    assert answer.status == "cancelled"
    [command] = bench.commands()
    request = bench.once(wire.SCAN_JOBS)[0].header["request-id"]
    assert (command.command, command.device_id) == ("CANCEL", "mri-0001")
    assert command.scan_request_id == (request or b"").decode()
    await bench.scan(ScanState.ACQUIRED)
    assert bench.states() == ["COMPLETED", "PENDING", "PENDING"], "it was done all the same"
    assert not bench.asked_records(), "nothing more is dispatched"
    await bench.ask("resume_workflow")
    assert len(bench.jobs()) == 1, "and need not be done again"
    assert len(bench.asked_records()) == 1


async def test_a_scan_that_was_cancelled_with_its_run_is_done_anew_by_resume() -> None:
    bench = WorkflowBench()
    await bench.start()
    await bench.ask("cancel_workflow")
    await bench.ask("resume_workflow")
    assert len(bench.jobs()) == 1, "the scan has not decided yet"
    await bench.scan(ScanState.CANCELLED)
    assert bench.row().state == "failed"
    bench = WorkflowBench()
    await bench.start()
    await bench.ask("cancel_workflow")
    await bench.scan(ScanState.CANCELLED)
    assert (bench.row().state, bench.states()[0]) == ("cancelled", "CANCELLED")
    await bench.ask("resume_workflow")
    assert len(bench.jobs()) == 2


async def test_a_service_of_a_cancelled_run_is_over_and_its_word_still_counts() -> None:
    bench = WorkflowBench()
    await bench.start()
    await bench.scan(ScanState.ACQUIRED)
    await bench.reconstructed()
    await bench.ask("cancel_workflow")
    assert bench.states()[2] == "CANCELLED"
    await bench.complete(bench.task_id(2))
    assert (bench.row().state, bench.states()[2]) == ("cancelled", "COMPLETED")
    await bench.ask("resume_workflow")
    assert bench.row().state == "completed"
    assert len(bench.events()) == 1


async def test_a_request_on_the_wrong_partition_is_moved() -> None:
    bench = WorkflowBench()
    body = {"workflow_id": bench.id.upper(), "type": "start_workflow"}
    other = (bench.partition + 3) % 8
    await bench.take(bench.message(wire.WORKFLOW_REQUESTS, body, partition=other, key=None))
    [moved] = bench.producer.on(wire.WORKFLOW_REQUESTS)
    assert (moved.key, moved.partition) == (bench.id.encode(), bench.partition)
    await bench.take(bench._read_back(moved))
    assert len(bench.jobs()) == 1


async def test_a_template_among_the_tasks_is_not_run() -> None:
    answer = await WorkflowBench(with_tasks({"is_template": True}, {}, {})).start()
    assert "it is a template" in answer.reasons[0]
