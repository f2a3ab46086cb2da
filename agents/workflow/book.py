"""The workflow aggregate's tables, and how what follows from a change is done: shared by its handlers.

A changed row is durable first, with its acts; then they are done, and struck off. The message that
changed it is acknowledged last. So a crash in between leaves a row that has acts, and a message that
comes again: whichever message of the workflow is handled first does what is left, under the same ids.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from agents.device.health import Health
from agents.tools import Tools
from agents.workflow import decide
from agents.workflow.decide import Moment
from agents.workflow.dispatch import Dispatcher
from agents.workflow.state import ActKind, TaskKind, WorkflowRow, WorkItem, WorkKind
from agents.workflow.telling import TELL, Telling
from agents.workflow.writing import response
from models import wire
from models.base import RecordId, canonical
from models.errors import PermanentError
from models.workflow import TaskState, WorkflowResponse
from streams.inbound import Inbound
from streams.intake import is_in_place, reroute
from streams.openwork import OpenWork
from streams.outbox import standard_headers
from streams.tables import DurableTable, Write

A = ActKind
LATE: Final = "late/"
READ: Final = "read"
ROUTE: Final = "route/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The tables of the workflow's aggregate."""

    tools: Tools
    workflows: DurableTable[WorkflowRow]
    work: OpenWork[WorkItem]
    dispatcher: Dispatcher
    telling: Telling
    health: Health
    """The breakers of the managers, shared with the other aggregates."""

    def moment(self, inbound: Inbound) -> Moment:
        """Give what a message's changes are dated with."""
        return Moment(inbound.mark, inbound.born_ms, self.now_ms())

    def now_ms(self) -> int:
        """Wall time, ms, for people."""
        return int(self.tools.clock.wall().timestamp() * 1000)

    async def in_place(self, inbound: Inbound, workflow_id: RecordId) -> bool:
        """Tell whether a message is on its workflow's partition; if not, it is moved there."""
        owner = canonical(workflow_id)
        if is_in_place(inbound, owner, self.tools.partitions):
            return True
        await reroute(inbound, owner, self.tools.partitions, self.tools.outbox)
        return False

    async def current(self, partition: int, workflow_id: RecordId) -> WorkflowRow | None:
        """Read a workflow's row, and do first what a worker that died has left."""
        row = self.workflows.get(partition, canonical(workflow_id))
        return await self._do(partition, row) if row is not None and row.acts else row

    async def settle(self, partition: int, row: WorkflowRow) -> WorkflowRow:
        """Write a changed row, and do what follows from it; gives the row as it is then."""
        await self._write(partition, row).durable()
        return await self._do(partition, row)

    async def _do(self, partition: int, row: WorkflowRow) -> WorkflowRow:
        """Do a row's acts; a task that can't be sent at all has failed, and that is a change again."""
        writes = [*self._clocks(partition, row), *self._to_tell(partition, row)]
        await asyncio.gather(*(write.durable() for write in writes))
        unsent = await self._send(row)
        if any(act.kind is A.RESPOND for act in row.acts):
            await self.respond(response(row), str(row.version))
        done = row.model_copy(update={"acts": ()})
        # Durable before the exam manager is told: acts done once more would tell it once more, and
        # maybe after what follows.
        await self._write(partition, done).durable()
        self.telling.begin(partition, canonical(row.id))
        for key, why in unsent.items():
            task = done.task(key)
            if task is not None and task.state is TaskState.IN_PROGRESS:
                when = Moment(f"unsent/{key}/{task.attempt}", task.born_ms, self.now_ms())
                failed = decide.ends(done, task, TaskState.FAILED, when, retries=0, cause=str(why))
                done = await self.settle(partition, failed)
        return done

    async def _send(self, row: WorkflowRow) -> dict[str, PermanentError]:
        """Send tasks and cancellations; gives the tasks that can't be sent at all, with the errors."""
        unsent = {}
        for act in row.acts:
            task = row.task(act.task) if act.task else None
            if task is None:
                continue
            try:
                if act.kind is A.DISPATCH:
                    await self.dispatcher.dispatch(row, task)
                elif act.kind is A.CANCEL:
                    await self.dispatcher.cancel(row, task)
            except PermanentError as error:
                unsent[task.key] = error
        return unsent

    def _to_tell(self, partition: int, row: WorkflowRow) -> list[Write]:
        """Keep what the exam manager is to be told."""
        owner, writes = canonical(row.id), []
        for number, act in enumerate(row.acts):
            name = f"{TELL}{row.version:09d}/{number:04d}"
            if act.kind in (A.TELL, A.FINISH) and self.work.get(partition, owner, name) is None:
                item = WorkItem(kind=WorkKind.TELL, act=act)
                writes.append(self.work.put(partition, owner, name, item))
        return writes

    def _clocks(self, partition: int, row: WorkflowRow) -> list[Write]:
        """Set the deadlines of tasks that others process, and drop those of tasks that ended."""
        owner, settings = canonical(row.id), self.tools.settings
        sent = {act.task for act in row.acts if act.kind is A.DISPATCH}
        writes: list[Write | None] = []
        for task in row.tasks:
            name = LATE + task.key
            if task.kind is TaskKind.DEVICE:
                continue
            if task.state is not TaskState.IN_PROGRESS:
                writes.append(self.work.drop(partition, owner, name))
            elif task.key in sent:
                due_ms = self.tools.clock.broker_ms() + int(settings.processing_s * 1000)
                item = WorkItem(
                    kind=WorkKind.LATE, due_ms=due_ms, attempt=task.attempt, version=task.attempt
                )
                writes.append(self.work.put(partition, owner, name, item))
        return [write for write in writes if write is not None]

    async def respond(self, answer: WorkflowResponse, unique: str) -> None:
        """Send a response; it is at the broker on return."""
        key = canonical(answer.workflow_id)
        headers = standard_headers(key, wire.make_id(key, "response", unique))
        topic = wire.WORKFLOW_RESPONSES
        await self.tools.outbox.deliver(topic, key.encode(), answer.to_bytes(), headers)

    async def answer(self, row: WorkflowRow, mark: str, *notes: str) -> None:
        """Answer a request that changes nothing with the state as it is."""
        told = row.model_copy(update={"notes": (*row.notes, *notes)})
        await self.respond(response(told), f"asked/{mark}")

    async def finish(self, partition: int, owner: str, name: str) -> None:
        """Drop a row of open work: its work is done, and everything that follows from it is out."""
        dropped = self.work.drop(partition, owner, name)
        if dropped is not None:
            await dropped.durable()

    def _write(self, partition: int, row: WorkflowRow) -> Write:
        return self.workflows.put(partition, canonical(row.id), row)
