"""What workflows and scans have to say to each other."""

import json
from typing import Any, cast

import pytest

from models import wire
from models.events import EventKind, ScanState
from models.steps import RecordStep, RecordStepKind, ScanIdentity, WorkflowStep
from settings import RecoDialect
from streams.inbound import Inbound
from tests.unit.test_device_bench import Bench, Death
from tests.unit.test_record_bench import IMAGE, RAW, RecordBench

S = ScanState
WORKFLOW = "6f1f9a52-0d8c-4a58-9c11-6f2f7f0a1c55"
TASK = "c6c69955-7430-43ba-9083-5784dad2e56c"


class TaskBench(RecordBench):
    """A record whose scan is a task of a workflow that has its own task for reconstruction."""

    reconstruct: bool | None = False

    @property
    def identity(self) -> ScanIdentity:
        mine = {"workflow_id": WORKFLOW, "task_id": TASK, "reconstruct": self.reconstruct}
        return super().identity.model_copy(update=mine)

    def told_workflow(self) -> list[WorkflowStep]:
        return [WorkflowStep.from_bytes(one.value or b"") for one in self.sent(wire.WORKFLOW_STEPS)]

    def heard(self) -> list[str]:
        return [f"{step.state}/{step.attempt}" for step in self.told_workflow()]

    def wanted(self, attempt: int = 1, **fields: Any) -> Inbound:
        step = RecordStep(
            kind=RecordStepKind.RECONSTRUCT,
            record_id=self.record,
            **{"workflow_id": WORKFLOW, "attempt": attempt, **fields},
        )
        return self.message(wire.RECORD_STEPS, step, 40 + attempt)

    async def image(self, offset: int = 80) -> None:
        """Let the newest RecoJob's result come."""
        job = self.jobs()[-1]
        file = {"location": f"records/{self.key}/x.dcm", "size": 9, "sha256": IMAGE}
        body = {"record_id": self.record, "reco_job_id": job["reco_job_id"], "success": True}
        await self.agent.handle(self.message(wire.RECO_RESULTS, {**body, "files": [file]}, offset))
        await self.agent.handle(self.stored(f"register/{job['reco_job_id']}", IMAGE))

    def jobs(self) -> list[Any]:
        return [json.loads(one.value or b"") for one in self.sent(wire.RECO_JOBS)]

    def job_ids(self) -> list[Any]:
        return [one.header[wire.MESSAGE_ID] for one in self.sent(wire.RECO_JOBS)]


async def acquired(**settings: Any) -> TaskBench:
    """Give a scan whose raw data are here."""
    bench = TaskBench(**settings)
    bench.put(S.RUNNING, attempt=1)
    await bench.agent.handle(await bench.upload())
    return bench


async def test_raw_data_wait_for_the_workflows_own_reconstruction() -> None:
    bench = await acquired()
    assert bench.row().state is S.ACQUIRED
    assert bench.jobs() == []
    [told] = bench.told_workflow()
    assert (told.workflow_id, told.task_id, told.request_id) == (WORKFLOW, TASK, "r-1")
    assert (told.state, told.record_id, told.sha256) == (S.ACQUIRED, 41, RAW)
    await bench.agent.handle(bench.wanted())
    assert bench.row().state is S.RECONSTRUCTING
    assert len(bench.jobs()) == 1
    await bench.image()
    assert bench.row().state is S.COMPLETED
    assert bench.heard() == ["ACQUIRED/None", "RECONSTRUCTING/1", "COMPLETED/1"]
    assert bench.told_workflow()[-1].sha256 == IMAGE


async def test_other_scans_are_reconstructed_at_once_and_their_end_is_told() -> None:
    bench = TaskBench()
    bench.reconstruct = None
    bench.put(S.RUNNING, attempt=1)
    await bench.agent.handle(await bench.upload())
    assert bench.row().state is S.RECONSTRUCTING
    await bench.image()
    assert bench.heard() == ["COMPLETED/None"]


async def test_a_scan_of_no_task_tells_no_workflow() -> None:
    bench = RecordBench()
    bench.put(S.STARTED, attempt=1)
    await bench.agent.handle(bench.status("FAILED"))
    assert bench.row().state is S.FAILED
    assert not bench.sent(wire.WORKFLOW_STEPS)


async def test_a_failed_scan_is_told_with_its_cause() -> None:
    bench = TaskBench()
    bench.put(S.STARTED, attempt=1)
    await bench.agent.handle(bench.status("FAILED"))
    [told] = bench.told_workflow()
    assert (told.state, told.cause) == (S.FAILED, "the device reported FAILED")


@pytest.mark.parametrize("topic", [wire.WORKFLOW_STEPS, wire.SCAN_EVENTS])
async def test_a_worker_that_dies_before_it_told_tells_when_the_message_comes_again(
    topic: str,
) -> None:
    bench = TaskBench()
    bench.put(S.RUNNING, attempt=1)
    stored = await bench.upload()
    for message in (stored, bench.status("FAILED", offset=30)):
        bench.producer.dies_at = topic
        with pytest.raises(Death):
            await bench.agent.handle(message)
        bench.restart()
        await bench.agent.handle(message)
    assert bench.heard() == ["ACQUIRED/None", "FAILED/None"]


async def test_an_order_that_comes_before_the_raw_data_is_kept() -> None:
    bench = TaskBench()
    bench.put(S.RUNNING, attempt=1)
    await bench.agent.handle(bench.wanted())
    assert bench.jobs() == []
    await bench.agent.handle(await bench.upload())
    assert (bench.row().state, len(bench.jobs())) == (S.RECONSTRUCTING, 1)


async def test_an_order_that_comes_again_is_the_same_job() -> None:
    bench = await acquired()
    await bench.agent.handle(bench.wanted())
    await bench.agent.handle(bench.wanted())
    assert len(set(bench.job_ids())) == 1
    assert bench.row().state is S.RECONSTRUCTING
    await bench.image()
    await bench.agent.handle(bench.wanted(attempt=2))
    assert bench.heard()[-1] == "COMPLETED/2", "what is done need not be done again"


async def test_a_reconstruction_that_failed_is_tried_again_and_the_state_stands() -> None:
    bench = await acquired()
    await bench.agent.handle(bench.wanted())
    job = bench.jobs()[0]["reco_job_id"]
    failed = {"record_id": 41, "reco_job_id": job, "success": False}
    await bench.agent.handle(bench.message(wire.RECO_RESULTS, failed, 70))
    assert (bench.row().state, bench.heard()[-1]) == (S.FAILED, "FAILED/1")
    await bench.agent.handle(bench.wanted(attempt=2))
    first, second = bench.job_ids()
    assert first != second, "consumers drop repeats"
    await bench.agent.handle(bench.message(wire.RECO_RESULTS, failed, 71))
    assert bench.heard()[-1] == "FAILED/2"
    await bench.agent.handle(bench.wanted(attempt=3))
    await bench.image()
    assert bench.row().state is S.FAILED, "final states never go back"
    assert bench.heard()[-1] == "COMPLETED/3"
    assert bench.told_workflow()[-1].sha256 == IMAGE
    assert bench.events(EventKind.LATE)


async def test_an_image_that_came_late_and_is_made_once_more_is_told_to_who_asked_since() -> None:
    """Cancelled in the middle of its reconstruction, whose image came; then the workflow is resumed."""
    bench = await acquired()
    await bench.agent.handle(bench.wanted())
    update = {"state": S.CANCELLED, "ended_by": "a person", "ended_from": S.RECONSTRUCTING}
    bench.scans.put(bench.partition, bench.key, bench.row().model_copy(update=update))
    await bench.image()
    await bench.agent.handle(bench.wanted(2))
    again = bench.jobs()[-1]
    file = {"location": f"records/{bench.key}/x.dcm", "size": 9, "sha256": IMAGE}
    body = {"record_id": bench.record, "reco_job_id": again["reco_job_id"], "success": True}
    await bench.agent.handle(bench.message(wire.RECO_RESULTS, {**body, "files": [file]}, 81))
    assert bench.heard()[-2:] == ["COMPLETED/1", "COMPLETED/2"]
    assert bench.row().state is S.CANCELLED


async def test_what_can_not_be_reconstructed_is_told_at_once() -> None:
    bench = TaskBench()
    await bench.agent.handle(bench.wanted())
    assert bench.told_workflow()[-1].cause == "no scan with this record is known here"
    bench.put(S.CANCELLED, attempt=1)
    await bench.agent.handle(bench.wanted(attempt=2))
    assert bench.heard() == ["FAILED/1", "FAILED/2"]
    bench = await acquired(reco_dialect=RecoDialect.UPSTREAM)
    bench.put(S.CANCELLED, attempt=1, raw=0, files=1)
    await bench.agent.handle(bench.wanted(attempt=2))
    assert (bench.heard()[-1], bench.jobs()) == ("FAILED/2", [])


async def test_another_workflow_that_asks_is_told_as_well() -> None:
    bench = await acquired()
    other = "00000000-0000-4000-8000-000000000009"
    await bench.agent.handle(bench.wanted(workflow_id=other))
    await bench.image()
    told = {step.workflow_id for step in bench.told_workflow() if step.state is S.COMPLETED}
    assert told == {WORKFLOW, other}


async def test_a_job_that_ends_before_it_has_a_record_is_told_by_its_device() -> None:
    bench = Bench(records="uuid")
    job = bench.job(workflow_id=WORKFLOW, task_id=TASK)  # its job id is no UUID: FAILED
    send = bench.producer.send

    async def dies(topic: str, *rest: Any) -> Any:
        if topic == wire.WORKFLOW_STEPS:
            raise Death(topic)
        return await send(topic, *rest)

    bench.producer.send = cast("Any", dies)  # type: ignore[method-assign]
    with pytest.raises(Death):
        await bench.agent.handle(job)
    bench.producer.send = send  # type: ignore[method-assign]
    bench.restart()
    await bench.agent.handle(job)
    [sent] = bench.producer.on(wire.WORKFLOW_STEPS)
    told = WorkflowStep.from_bytes(sent.value or b"")
    assert sent.key == WORKFLOW.encode()
    assert (told.task_id, told.request_id, told.state) == (TASK, "r-1", S.FAILED)
    assert told.cause == "the job id is no UUID, and this exam manager has UUIDs"


async def test_the_order_to_reconstruct_or_not_goes_with_the_scan() -> None:
    bench = Bench()
    await bench.agent.handle(bench.job(workflow_id=WORKFLOW, task_id=TASK, reconstruct=False))
    step = RecordStep.from_bytes(bench.producer.on(wire.RECORD_STEPS)[0].value or b"")
    assert step.scan is not None
    assert (step.scan.reconstruct, step.scan.task_id) == (False, TASK)


async def test_a_foreign_image_is_looked_for_often_enough_to_be_noticed_within_5_s() -> None:
    bench = await acquired(reco_dialect=RecoDialect.UPSTREAM, retry_most_s=60)
    await bench.agent.handle(bench.wanted())
    [name] = [n for n in bench.work.names(bench.partition, bench.key) if "conventional" in n]
    for _ in range(12):
        item = bench.work.get(bench.partition, bench.key, name)
        assert item is not None
        assert item.due_ms is not None
        assert item.due_ms - bench.clock.now_ms <= 2_000
        bench.clock.now_ms = item.due_ms
        step = {"kind": "stored", "record_id": 41, "name": name, "version": item.version}
        missing = {"sentence": "no whole image lies there", "again": True}
        body = {**step, "failure": missing}
        await bench.agent.handle(bench.message(wire.RECORD_STEPS, body, 90))
