"""Sends tasks to who does them, each in the form that its consumer takes."""

from collections.abc import Collection
from typing import Final, Protocol

from agents.tools import Tools
from agents.workflow import writing
from agents.workflow.state import TaskKind, TaskRow, WorkflowRow
from models import wire
from models.base import canonical
from models.errors import PermanentError, TransientError
from models.steps import RecordStep, RecordStepKind
from settings import RecordsDialect
from streams.outbox import standard_headers

CERTIFIED: Final = "certified"
"""Header of what is sent for a CERTIFIED_* task: `true`."""


class BrokerTopics(Protocol):
    """Knows which topics there are."""

    async def missing(self, names: Collection[str]) -> set[str]:
        """Give those of some names that no topic has. Raises TransientError."""
        ...


class Dispatcher:
    """Sends; all is at the broker on return, and sent again it has the same ids."""

    def __init__(self, tools: Tools, topics: BrokerTopics) -> None:
        self._tools = tools
        self._topics = topics

    async def dispatch(self, row: WorkflowRow, task: TaskRow) -> None:
        """Send a task. Raises PermanentError where it can't be sent at all."""
        if task.kind is TaskKind.DEVICE:
            await self._to_device(row, task)
        elif task.kind is TaskKind.RECONSTRUCTION:
            await self._to_record(row, task)
        else:
            await self._to_service(row, task)

    async def cancel(self, row: WorkflowRow, task: TaskRow) -> None:
        """Send a command to a task's scan; the scan decides what comes of it."""
        command = writing.cancel_command(row.id, task)
        headers = standard_headers(writing.request_id(row.id, task), command.command_id)
        key = task.device.encode()
        await self._tools.outbox.deliver(wire.SCAN_COMMANDS, key, command.to_bytes(), headers)

    async def _to_device(self, row: WorkflowRow, task: TaskRow) -> None:
        job = writing.scan_job(row.id, task)
        if task.attempt > 1 and self._tools.settings.records is RecordsDialect.TASK:
            # The job's id is the record's, and a record that is at its end never goes back.
            job = job.model_copy(update={"job_id": writing.attempt_id(task)})
        # As old as what led to it: what waited for too long is HELD there, for a person (promise 9).
        born = (wire.REROUTED_TIME, str(task.born_ms).encode())
        headers = [*self._headers(row, task, "scan-job"), born]
        key = task.device.encode()
        await self._tools.outbox.deliver(wire.SCAN_JOBS, key, job.to_bytes(), headers)

    async def _to_record(self, row: WorkflowRow, task: TaskRow) -> None:
        """Have a scan's record reconstruct: a TaskEvent would end the real worker (messages.md 3)."""
        try:
            owner = canonical(task.record_id if task.record_id is not None else "")
        except ValueError:
            raise PermanentError("no record is known whose data are to be reconstructed") from None
        step = RecordStep(
            kind=RecordStepKind.RECONSTRUCT,
            record_id=task.record_id if task.record_id is not None else owner,
            workflow_id=row.id,
            attempt=task.attempt,
        )
        await self._tools.outbox.deliver_step(wire.RECORD_STEPS, owner, step.to_bytes())

    async def _to_service(self, row: WorkflowRow, task: TaskRow) -> None:
        event = writing.task_event(row.tasks, task)
        try:
            if await self._topics.missing([task.topic]):
                raise PermanentError(f"topic {task.topic} does not exist")
        except TransientError:
            pass  # then the producer is asked
        headers, key = self._headers(row, task, "task-event"), task.key.encode()
        await self._tools.outbox.deliver_elsewhere(task.topic, key, event.to_bytes(), headers)

    @staticmethod
    def _headers(row: WorkflowRow, task: TaskRow, kind: str) -> list[tuple[str, bytes | None]]:
        request = writing.request_id(row.id, task)
        headers = standard_headers(request, wire.make_id(request, kind))
        return [*headers, (CERTIFIED, b"true")] if task.certified else headers
