"""Messages that come again, late, or from an attempt that is over: they change nothing."""

from typing import Any

from models import wire
from models.errors import TransientError
from models.events import ScanState
from tests.unit.test_workflow_bench import WorkflowBench


async def at_the_service(**settings: Any) -> WorkflowBench:
    """Give the example workflow with its service at work."""
    bench = WorkflowBench(**settings)
    await bench.start()
    await bench.scan(ScanState.ACQUIRED)
    await bench.reconstructed()
    return bench


def attempts(bench: WorkflowBench) -> list[int]:
    return [task.attempt for task in bench.row().tasks]


async def test_a_failure_that_is_delivered_again_fails_no_other_attempt() -> None:
    bench = await at_the_service(task_retries=2)
    body = {"task_id": bench.task_id(2), "workflow_id": bench.id, "success": False}
    first, second = (bench.message(wire.TASK_COMPLETIONS, body) for _ in range(2))
    for message in (first, second, first, second):
        await bench.take(message)
    assert attempts(bench) == [1, 1, 3]
    assert bench.states()[2] == "IN_PROGRESS"


async def test_news_of_a_reconstruction_that_is_over_are_none_of_the_next() -> None:
    bench = WorkflowBench()
    await bench.start()
    await bench.scan(ScanState.ACQUIRED)
    await bench.reconstructed(ScanState.FAILED)
    assert bench.row().state == "failed"
    await bench.ask("resume_workflow")
    record = bench.asked_records()[0].record_id
    for state in (ScanState.FAILED, ScanState.COMPLETED):
        await bench.scan(state, attempt=1, record_id=record)
        assert bench.states()[1] == "IN_PROGRESS"
    await bench.reconstructed()
    assert bench.states() == ["COMPLETED", "COMPLETED", "IN_PROGRESS"]


async def test_a_resume_that_is_delivered_again_resumes_nothing() -> None:
    bench = await at_the_service()
    await bench.complete(bench.task_id(2), success=False)
    body = {"workflow_id": bench.id, "type": "resume_workflow"}
    resume = bench.message(wire.WORKFLOW_REQUESTS, body)
    await bench.take(resume)
    await bench.complete(bench.task_id(2), success=False)
    await bench.take(resume)
    assert (bench.row().state, attempts(bench)) == ("failed", [1, 1, 2])


async def test_a_wait_that_a_crash_left_resumes_nothing() -> None:
    """The run went on, and its worker died before the row of open work was dropped."""
    bench = await at_the_service()
    await bench.complete(bench.task_id(2), success=False)
    bench.exams.errors["workflow"] = [TransientError("away", sent=False)]
    await bench.ask("resume_workflow")
    [left] = [(key, row) for key, row in bench.items.rows.items() if "read" in key[1]]
    await bench.pass_time(3)
    assert attempts(bench) == [1, 1, 2]
    await bench.complete(bench.task_id(2), success=False)
    bench.items.rows[left[0]] = left[1]
    bench.items._kept[left[0]] = left[1]
    bench.crash()
    await bench.pass_time(10)
    assert (bench.row().state, attempts(bench)) == ("failed", [1, 1, 2])
    assert not bench.items.rows


async def test_a_completion_of_a_workflow_that_is_not_run_here_is_moved_once() -> None:
    bench = WorkflowBench()
    other = (bench.partition + 1) % 8
    body = {"task_id": bench.task_id(2), "status": "COMPLETED"}
    await bench.take(bench.message(wire.TASK_COMPLETIONS, body, key=None, partition=other))
    [moved] = bench.producer.on(wire.TASK_COMPLETIONS)
    await bench.take(bench._read_back(moved))
    assert len(bench.producer.on(wire.TASK_COMPLETIONS)) == 1
    assert [letter.header[wire.DEAD_CAUSE] for letter in bench.dead()] == [b"invalid"]


async def test_what_is_being_told_is_not_begun_a_second_time() -> None:
    bench = WorkflowBench()
    start = {"workflow_id": bench.id, "type": "start_workflow"}
    await bench.take(bench.message(wire.WORKFLOW_REQUESTS, start))
    [(_, work)] = bench.pool.waiting.items()
    bench.pool.waiting.clear()
    await work()  # its outcome is on its way
    bench.telling.begin(bench.partition, bench.id)
    assert not bench.pool.waiting
    await bench.settle()
    assert bench.exams.written == ["c6c6 IN_PROGRESS"]


async def test_a_completion_that_comes_again_after_a_resume_ends_no_new_attempt() -> None:
    """Found by the side-by-side run: the worker died between handling it and its commit."""
    bench = WorkflowBench()
    await bench.start()
    await bench.scan(ScanState.ACQUIRED)
    await bench.reconstructed()
    task = bench.task_id(2)
    failed = bench.message(
        wire.TASK_COMPLETIONS, {"task_id": task, "workflow_id": bench.id, "success": False}
    )
    await bench.take(failed)
    await bench.settle()
    assert bench.row().state == "failed"
    await bench.ask("resume_workflow")
    await bench.take(failed)
    await bench.settle()
    assert bench.states()[2] == "IN_PROGRESS"
    await bench.complete(task)
    assert bench.row().state == "completed"
