"""What expires, and what never does: the decisions, and the owners that make them."""

from typing import Any

import pytest

from agents.device.expiry import is_old as request_is_old
from agents.device.state import RequestRow, request_key
from agents.record.expiry import is_old as scan_is_old
from agents.record.state import ScanRow, WorkItem, WorkKind
from agents.workflow.expiry import is_old as workflow_is_old
from agents.workflow.state import Act, ActKind, TaskKind, TaskRow, WorkflowRow
from models import wire
from models.events import EventKind, ScanState
from models.managers import TaskType
from models.scan import ScanJob
from models.steps import (
    DeviceStep,
    DeviceStepKind,
    RecordStep,
    RecordStepKind,
    ScanIdentity,
    WorkflowStep,
    WorkflowStepKind,
)
from models.workflow import RunState, TaskState
from streams.inbound import Inbound
from streams.topics import partition_of
from tests.unit.test_device_bench import Bench, started
from tests.unit.test_device_decide import BODY
from tests.unit.test_record_bench import RecordBench
from tests.unit.test_streams_fakes import NOON_MS, make_inbound
from tests.unit.test_workflow_bench import WorkflowBench, run_through

S = ScanState
DAY = 86_400
DAYS = 14
DAYS_MS = DAYS * DAY * 1000
OVER = {S.STARTED, S.COMPLETED, S.FAILED, S.CANCELLED}
"""For a device: a scan that was started is its record's affair."""
IDENTITY = ScanIdentity(record_id=41, device_id="d", request_id="r-1", job_id=7)


def request(stage: ScanState, born_ms: int = NOON_MS) -> RequestRow:
    return RequestRow(
        stage=stage,
        origin="scan-jobs-0-1",
        body_sha256="a" * 64,
        born_ms=born_ms,
        order="1000-1-1",
        job=ScanJob.model_validate({**BODY, "device_id": "d"}),
        request_id="r-1",
    )


@pytest.mark.parametrize("stage", ScanState)
def test_a_request_expires_only_when_it_is_over(stage: ScanState) -> None:
    row = request(stage)
    assert not request_is_old(row, NOON_MS + DAYS_MS, DAYS)
    assert request_is_old(row, NOON_MS + DAYS_MS + 1, DAYS) is (stage in OVER)
    assert request_is_old(row, NOON_MS + 1000 * DAYS_MS, DAYS) is (stage in OVER)
    assert not request_is_old(row, NOON_MS - DAYS_MS, DAYS)


@pytest.mark.parametrize("state", ScanState)
def test_a_scan_expires_only_when_it_ended(state: ScanState) -> None:
    row = ScanRow(scan=IDENTITY, state=state, ended_ms=NOON_MS if state.final else 0, seen_ms=5)
    assert not scan_is_old(row, NOON_MS + DAYS_MS, DAYS)
    assert scan_is_old(row, NOON_MS + DAYS_MS + 1, DAYS) is state.final
    assert not scan_is_old(row, NOON_MS + 1000 * DAYS_MS, 0), "0 is for ever"


def test_the_workers_wall_time_expires_no_scan() -> None:
    times = {S.COMPLETED: 1}
    assert not scan_is_old(ScanRow(scan=IDENTITY, state=S.COMPLETED, times=times), NOON_MS, DAYS)
    seen = ScanRow(scan=IDENTITY, state=S.COMPLETED, times=times, seen_ms=NOON_MS)
    assert not scan_is_old(seen, NOON_MS + DAYS_MS, DAYS)
    assert scan_is_old(seen, NOON_MS + DAYS_MS + 1, DAYS)


@pytest.mark.parametrize("state", RunState)
def test_a_workflow_expires_only_when_it_ended_and_nobody_works_for_it(state: RunState) -> None:
    row = WorkflowRow(id=5, state=state, changed_ms=NOON_MS)
    over = state not in (RunState.WAITING, RunState.RUNNING)
    later = NOON_MS + DAYS_MS + 1
    assert not workflow_is_old(row, later - 1, DAYS)
    assert workflow_is_old(row, later, DAYS) is over
    never = row.model_copy(update={"changed_ms": 0, "at_ms": 1})
    assert not workflow_is_old(never, later, DAYS)
    acts = row.model_copy(update={"acts": (Act(kind=ActKind.RESPOND),)})
    assert not workflow_is_old(acts, later, DAYS)
    task = TaskRow(id=1, type=TaskType.DEVICE_TASK, kind=TaskKind.DEVICE)
    for task_state in TaskState:
        tasks = (task.model_copy(update={"state": task_state}),)
        works = row.model_copy(update={"tasks": tasks})
        expected = over and task_state is not TaskState.IN_PROGRESS
        assert workflow_is_old(works, later, DAYS) is expected


def expire(*requests: str, offset: int = 950) -> Inbound:
    step = DeviceStep(kind=DeviceStepKind.EXPIRE, device_id="d", requests=requests or ("r-1",))
    place = partition_of(b"d", 8)
    return make_inbound(
        step.to_bytes(), topic=wire.DEVICE_STEPS, key=b"d", partition=place, offset=offset
    )


async def test_a_request_that_was_forgotten_is_a_new_one_when_it_comes_again() -> None:
    bench = Bench()
    await started(bench)
    bench.clock.move(DAYS * DAY)
    await bench.agent.handle(expire())
    assert bench.row().stage is S.STARTED, "not yet"
    bench.clock.move(1)
    await bench.agent.handle(expire())
    assert not bench.requests.rows
    await bench.agent.handle(bench.job(offset=2000))
    assert (bench.row().stage, bench.row().record_id) == (S.READY, 42)
    assert bench.managers.asked.count("create") == 2


@pytest.mark.parametrize("stage", [stage for stage in ScanState if stage not in OVER])
async def test_the_device_keeps_what_is_not_over(stage: ScanState) -> None:
    bench = Bench()
    key = (partition_of(b"d", 8), request_key("d", "r-1"))
    bench.requests.put(*key, request(stage))
    bench.clock.move(1000 * DAYS * DAY)
    await bench.agent.handle(expire())
    assert bench.requests.get(*key) == request(stage)


async def test_a_scan_that_holds_its_device_keeps_its_request() -> None:
    """Its lease would come due with no request, and free the device below a scan that runs."""
    bench = Bench(scans_per_device=1)
    await started(bench)
    assert len(bench.parked.rows) == 1
    bench.clock.move(10 * DAYS * DAY)
    await bench.agent.handle(expire())
    assert bench.row().stage is S.STARTED


async def test_what_is_told_twice_is_deleted_twice() -> None:
    """A worker may die between its own store and the changelog: the row would come back elsewhere."""
    bench = Bench()
    await started(bench)
    bench.clock.move(2 * DAYS * DAY)
    for _ in range(2):
        await bench.agent.handle(expire("r-1", "r-never"))
    gone = [key for key, row in bench.requests.writes if row is None]
    assert gone == [request_key("d", name) for name in ("r-1", "r-never")] * 2
    assert not bench.requests.rows


def forget(bench: RecordBench, offset: int = 70) -> Inbound:
    step = RecordStep(kind=RecordStepKind.EXPIRE, record_id=bench.record)
    return bench.message(wire.RECORD_STEPS, step, offset)


async def completed(**settings: Any) -> RecordBench:
    """Take a scan to its image, and let what follows from its end be done."""
    bench = RecordBench(**settings)
    bench.put(S.RECONSTRUCTING, files=1, raw=0, attempt=1)
    await bench.agent.handle(await bench.reconstructed())
    for name in bench.work.names(bench.partition, bench.key):
        bench.work.drop(bench.partition, bench.key, name)
    assert (bench.row().state, bench.row().files) == (S.COMPLETED, 2)
    assert (len(bench.files.rows), len(bench.index.rows)) == (2, 4)
    return bench


@pytest.mark.parametrize("record", [41, "5f9f2a00-0000-4000-8000-000000000001"])
async def test_a_scan_goes_with_the_rows_of_its_files(record: int | str) -> None:
    bench = await completed(record=record)
    assert bench.row().ended_ms == bench.clock.now_ms
    bench.clock.move(90 * DAY)
    await bench.agent.handle(forget(bench))
    assert bench.row().state is S.COMPLETED, "not yet"
    bench.clock.move(1)
    await bench.agent.handle(forget(bench))
    for table in (bench.scans, bench.files, bench.index):
        assert not table.rows, table
    said = len(bench.events())
    await bench.agent.handle(bench.status(offset=99))
    assert len(bench.events()) == said
    assert bench.open(WorkKind.EARLY), "it is of a record that is not known"


async def test_a_scan_for_ever() -> None:
    bench = await completed(keep_records_days=0)
    bench.clock.move(10_000 * DAY)
    await bench.agent.handle(forget(bench))
    assert bench.row().state is S.COMPLETED


async def test_open_work_keeps_a_scan() -> None:
    bench = await completed()
    bench.clock.move(91 * DAY)
    item = WorkItem(kind=WorkKind.TELL, due_ms=bench.clock.now_ms)
    bench.work.put(bench.partition, bench.key, "tell/1", item)
    await bench.agent.handle(forget(bench))
    assert (bench.row().state, len(bench.files.rows)) == (S.COMPLETED, 2)


@pytest.mark.parametrize("stage", range(4))
async def test_what_a_crash_left_of_a_scan_is_deleted_in_the_end(stage: int) -> None:
    """The store may have lost rows whose tombstones the changelog never got: all are written again."""
    bench = await completed()
    bench.clock.move(91 * DAY)
    every = {table: set(table.rows) for table in (bench.scans, bench.files, bench.index)}
    numbers = {key for key in bench.index.rows if "\x00n/" in key[1]}
    done = [set(bench.index.rows) - numbers, set(bench.files.rows), numbers, set(bench.scans.rows)]
    for table in every:  # gone here; of the last stage no tombstone is out
        table.rows = {
            k: v for k, v in table.rows.items() if not any(k in d for d in done[: stage + 1])
        }
        table.writes.clear()
    await bench.agent.handle(forget(bench))
    again = {(bench.partition, key) for table in every for key, row in table.writes if row is None}
    owed = {key for keys in done[stage:] for key in keys}
    # The names of a file are known by its row, which is still there when they are owed.
    assert again >= owed
    assert not any(table.rows for table in every)


async def test_the_message_that_ended_a_scan_does_not_change_when_it_ended() -> None:
    bench = RecordBench()
    bench.put(S.RUNNING, attempt=1)
    await bench.agent.handle(bench.status("FAILED"))
    first = bench.row()
    bench.clock.move(5)
    await bench.agent.handle(bench.status("FAILED"))
    assert bench.row() == first
    assert len(bench.events(EventKind.STATE_CHANGED)) == 1


async def test_a_workflow_is_forgotten_and_then_not_known() -> None:
    bench = WorkflowBench()
    await run_through(bench)
    assert bench.row().state is RunState.COMPLETED
    assert bench.row().changed_ms == bench.clock.now_ms
    step = WorkflowStep(kind=WorkflowStepKind.EXPIRE, workflow_id=bench.id)
    bench.clock.move(DAYS * DAY)
    await bench.take(bench.message(wire.WORKFLOW_STEPS, step))
    assert bench.row().state is RunState.COMPLETED, "not yet"
    bench.clock.move(1)
    for _ in range(2):
        await bench.take(bench.message(wire.WORKFLOW_STEPS, step))
    assert not bench.rows.rows
    assert (await bench.ask("get_status")).status == "unknown"


async def test_a_workflow_that_runs_is_kept() -> None:
    bench = WorkflowBench()
    await bench.start()
    bench.clock.move(10 * DAYS * DAY)
    step = WorkflowStep(kind=WorkflowStepKind.EXPIRE, workflow_id=bench.id)
    await bench.take(bench.message(wire.WORKFLOW_STEPS, step))
    assert bench.row().state is RunState.RUNNING
