"""Twins for workflows: managers that know one; tables, pools, producers in which a worker dies."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from agents.tools import Pool
from managers import GivenTask, GivenWorkflow
from models import wire
from models.base import Message, canonical
from models.errors import PermanentError, PoisonError
from models.managers import Task, TaskStatus, Workflow
from models.scan import ScanCommand, ScanJob
from models.steps import RecordStep
from models.wire import Cause
from models.work import WorkRow
from models.workflow import TaskEvent, WorkflowResponse
from streams.tables import Write
from tests.unit.test_device_bench import Death
from tests.unit.test_streams_fakes import FakeProducer, HandClock, MemoryTable, Sent

RECO_TOPIC = "mri_cartesian_reco"
DENOISE = "mri_denoise"


class LossyTable(MemoryTable[Any]):
    """A table of which a crash takes what nobody waited for; the worker may die before its nth write."""

    def __init__(self, model: type[Message], clock: HandClock) -> None:
        super().__init__(model, clock)
        self._kept: dict[tuple[int, str], bytes] = {}
        self.dies_before: int | None = None

    def put(self, partition: int, key: str, row: Any) -> Write:
        if self.dies_before is not None and len(self.writes) >= self.dies_before:
            self.dies_before = None
            raise Death(key)
        super().put(partition, key, row)
        return self._promised(partition, key)

    def delete(self, partition: int, key: str) -> Write:
        super().delete(partition, key)
        return self._promised(partition, key)

    def _promised(self, partition: int, key: str) -> Write:
        value = self.rows.get((partition, key))

        def keep() -> None:
            self._kept.pop((partition, key), None)
            if value is not None:
                self._kept[partition, key] = value

        return _Promise(keep)

    def crash(self) -> None:
        self.rows = dict(self._kept)


class _Promise(Write):
    def __init__(self, keep: Callable[[], None]) -> None:
        self._keep = keep

    async def durable(self) -> int:
        self._keep()
        return 0


class Later(Pool):
    """Keeps background work until a test lets it run."""

    def __init__(self) -> None:
        super().__init__(1, die)
        self.waiting: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}

    def submit(self, key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.waiting.setdefault(key, work)


def die(error: BaseException) -> None:
    raise error


class MortalProducer(FakeProducer):
    """A producer at which the worker dies, before or after its nth message."""

    dies_before: int | None = None
    dies_after: int | None = None

    async def send(self, topic: str, *rest: Any) -> Awaitable[Any]:
        if self.dies_before is not None and len(self.sent) >= self.dies_before:
            self.dies_before = None
            raise Death(topic)
        sending = await super().send(topic, *rest)
        if self.dies_after is not None and len(self.sent) >= self.dies_after:
            self.dies_after = None
            raise Death(topic)
        return sending


@dataclass
class FakeExams:
    """Managers, data lake and broker: answer well, or raise what a test sets."""

    name: str = "exam manager"
    tasks: dict[str, Task] = field(default_factory=dict)
    workflow: Workflow | None = None
    errors: dict[str, list[BaseException]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    topics: set[str] = field(default_factory=lambda: {RECO_TOPIC, DENOISE})
    well: bool = True

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if self.errors.get(what):
            raise self.errors[what].pop(0)

    async def probe(self) -> bool:
        return self.well

    def put(self, given: dict[str, Any]) -> None:
        """Keep a workflow as the exam manager has it."""
        self.workflow = Workflow.model_validate(given)
        self.tasks = {canonical(task.id): task for task in self.workflow.tasks}

    async def get_workflow(self, workflow_id: int | str) -> GivenWorkflow:
        self._note("workflow")
        if self.workflow is None or canonical(self.workflow.id) != canonical(workflow_id):
            raise PermanentError("the exam manager knows no such workflow (404)", status=404)
        now = self.workflow.model_copy(update={"tasks": tuple(self.tasks.values())[::-1]})
        return GivenWorkflow(now, {})

    async def get_task(self, task_id: int | str) -> GivenTask:
        self._note("task")
        task = self.tasks.get(canonical(task_id))
        if task is None:
            raise PermanentError("the exam manager knows no such task (404)", status=404)
        return GivenTask(task, {})

    async def set_task_status(self, task_id: int | str, status: TaskStatus, text: str) -> None:
        self._note("status")
        task = self.tasks[canonical(task_id)]
        self.tasks[canonical(task_id)] = task.model_copy(update={"status": {status: text}})
        self.written.append(f"{canonical(task_id)[:4]} {status}")

    async def set_workflow_finished(self, _: int | str) -> None:
        self._note("finished")
        assert self.workflow is not None
        self.workflow = self.workflow.model_copy(update={"is_finished": True})
        self.written.append("finished")

    async def retrieve_sequence(self, _: str) -> None:
        self._note("sequence")

    async def device_location_request(self, _: str) -> None:
        self._note("device")

    async def work_on(self, location: str, _: Any) -> None:
        self._note("file")
        if location not in self.files:
            raise PoisonError("the file is not there", Cause.FILE_REFUSED)

    async def missing(self, names: Any) -> set[str]:
        self._note("topics")
        return set(names) - self.topics


class Outgoing:
    """What went out, as its readers see it."""

    producer: MortalProducer

    def once(self, topic: str) -> list[Sent]:
        """Give what was sent to a topic as consumers see it: repeats of a message-id dropped."""
        seen: dict[bytes | None, Sent] = {}
        for sent in self.producer.on(topic):
            seen.setdefault(sent.header[wire.MESSAGE_ID], sent)
        return list(seen.values())

    def jobs(self) -> list[ScanJob]:
        return [ScanJob.from_bytes(one.value or b"") for one in self.once(wire.SCAN_JOBS)]

    def events(self, topic: str = DENOISE) -> list[TaskEvent]:
        return [TaskEvent.from_bytes(one.value or b"") for one in self.once(topic)]

    def commands(self) -> list[ScanCommand]:
        return [ScanCommand.from_bytes(one.value or b"") for one in self.once(wire.SCAN_COMMANDS)]

    def asked_records(self) -> list[RecordStep]:
        """Give what records were asked, repeats dropped."""
        sent = [one.value or b"" for one in self.producer.on(wire.RECORD_STEPS)]
        return [RecordStep.from_bytes(value) for value in dict.fromkeys(sent)]

    def answers(self) -> list[WorkflowResponse]:
        sent = self.once(wire.WORKFLOW_RESPONSES)
        return [WorkflowResponse.from_bytes(one.value or b"") for one in sent]

    def dead(self) -> list[Sent]:
        return self.producer.on(wire.DEAD_LETTERS)


async def test_a_crash_takes_what_nobody_waited_for() -> None:
    table = LossyTable(WorkRow, HandClock())
    await table.put(0, "kept", WorkRow(version=1)).durable()
    table.put(0, "kept", WorkRow(version=2))
    table.put(0, "lost", WorkRow())
    assert table.get(0, "lost") == WorkRow()
    table.crash()
    assert list(table.items()) == [(0, "kept", WorkRow(version=1))]
