"""A worker that dies anywhere in a workflow: nothing is lost, every task is done once, in order."""

from typing import Any

import pytest

from models import wire
from models.errors import TransientError
from models.events import ScanState
from tests.unit.test_workflow_bench import WorkflowBench, run_through
from tests.unit.test_workflow_fakes import DENOISE

SENDS = 14
"""So many messages the example workflow sends."""
WRITES = 8
"""So many times its row is written, and more often its open work."""


def whole(bench: WorkflowBench) -> None:
    """See that the example workflow ended, once."""
    assert bench.row().state == "completed"
    assert bench.states() == ["COMPLETED"] * 3
    assert [task.attempt for task in bench.row().tasks] == [1, 1, 1]
    assert len(bench.jobs()) == len(bench.asked_records()) == len(bench.events()) == 1
    order = [one.topic for one in bench.producer.sent]
    first = [order.index(topic) for topic in (wire.SCAN_JOBS, wire.RECORD_STEPS, DENOISE)]
    assert first == sorted(first)
    for topic in (wire.SCAN_JOBS, DENOISE):
        assert len({one.value for one in bench.producer.on(topic)}) == 1, "a repeat differs"
    answers = [answer.status for answer in bench.answers() if answer.reasons == ()]
    assert answers[-1] == "completed"
    assert bench.exams.tasks[bench.task_id(2)].state == "COMPLETED"
    assert bench.exams.workflow is not None
    assert bench.exams.workflow.is_finished
    assert not bench.items.rows
    assert not bench.row().acts
    assert not bench.telling._begun
    assert not bench.dead()


@pytest.mark.parametrize("number", range(SENDS))
@pytest.mark.parametrize("when", ["dies_before", "dies_after"])
async def test_a_death_at_any_message_changes_nothing(when: str, number: int) -> None:
    bench = WorkflowBench()
    setattr(bench.producer, when, number)
    await run_through(bench)
    whole(bench)


async def test_the_deaths_above_are_at_every_message() -> None:
    bench = WorkflowBench()
    await run_through(bench)
    assert len(bench.producer.sent) == SENDS
    assert len(bench.rows.writes) == WRITES <= len(bench.items.writes)
    bench = WorkflowBench()
    bench.producer.dies_before = SENDS - 1
    await run_through(bench)
    assert bench.crashes == 1


@pytest.mark.parametrize("number", range(WRITES))
@pytest.mark.parametrize("table", ["rows", "items"])
async def test_a_death_at_any_write_changes_nothing(table: str, number: int) -> None:
    bench = WorkflowBench()
    getattr(bench, table).dies_before = number
    await run_through(bench)
    assert bench.crashes == 1
    whole(bench)


async def test_a_death_before_the_dispatch_is_made_good_by_whichever_message_comes_first() -> None:
    """The completed scan's step comes again later than another message of the workflow."""
    bench = WorkflowBench()
    await bench.start()
    bench.producer.dies_before = len(bench.producer.sent)
    taken: list[Any] = []
    handle = bench.agent.handle

    async def note(inbound: Any) -> None:
        taken.append(inbound)
        await handle(inbound)

    bench.agent.handle = note  # type: ignore[method-assign]
    step = bench.scan(ScanState.ACQUIRED)
    await step  # dies, restarts, and is redelivered: below it is so once more
    bench.producer.sent = [s for s in bench.producer.sent if s.topic != wire.RECORD_STEPS]
    row = bench.row()
    acts = {"acts": [{"kind": "dispatch", "task": bench.task_id(1)}, {"kind": "respond"}]}
    left = type(row).model_validate(row.model_dump() | acts)
    await bench.rows.put(bench.partition, bench.id, left).durable()
    await bench.ask("get_status")
    assert len(bench.asked_records()) == 1
    await bench.take(taken[0])
    assert len(bench.asked_records()) == 1
    assert bench.states() == ["COMPLETED", "IN_PROGRESS", "PENDING"]


@pytest.mark.parametrize("number", range(14))
async def test_a_death_while_a_start_waits_starts_once(number: int) -> None:
    bench = WorkflowBench()
    bench.exams.errors["workflow"] = [TransientError("away", sent=False) for _ in range(3)]
    bench.producer.dies_before = number
    await bench.start()
    await bench.pass_time(20)
    assert len(bench.jobs()) == 1
    assert bench.states() == ["IN_PROGRESS", "PENDING", "PENDING"]
    assert set(bench.exams.written) == {"c6c6 IN_PROGRESS"}
    assert len(bench.exams.written) <= 2


@pytest.mark.parametrize("number", range(12))
async def test_a_death_at_a_failure_and_a_resume_repeats_no_attempt(number: int) -> None:
    bench = WorkflowBench()
    await bench.start()
    await bench.scan(ScanState.ACQUIRED)
    await bench.reconstructed()
    bench.producer.dies_before = len(bench.producer.sent) + number
    await bench.complete(bench.task_id(2), success=False)
    await bench.ask("resume_workflow")
    assert [task.attempt for task in bench.row().tasks] == [1, 1, 2]
    assert bench.states() == ["COMPLETED", "COMPLETED", "IN_PROGRESS"]
    assert len(bench.events()) == 2
    await bench.complete(bench.task_id(2))
    assert bench.row().state == "completed"
    assert len(bench.jobs()) == 1
