"""The workflow's agent: one stream of all topics that are keyed by workflow, one at a time for each."""

from typing import Final

from agents.device.decide import MOST_FAULTS
from agents.workflow import decide, evidence, expiry
from agents.workflow.asking import Asking
from agents.workflow.book import LATE, Book
from agents.workflow.completions import Completions
from agents.workflow.decide import Moment
from agents.workflow.requests import Requests
from agents.workflow.state import Act, ActKind, WorkItem, WorkKind
from models import wire
from models.base import canonical
from models.steps import WorkflowStep, WorkflowStepKind
from models.workflow import TaskState
from streams.inbound import Inbound
from streams.openwork import Due, back_off_ms

TOPICS: Final = (wire.WORKFLOW_REQUESTS, wire.TASK_COMPLETIONS, wire.WORKFLOW_STEPS)

GRACE_MS: Final = 10_000
"""After a recovery a task counts as late at the soonest then: its completion may be unread yet."""


class WorkflowAgent:
    """Routes a workflow's messages to what decides them."""

    def __init__(self, book: Book, asking: Asking) -> None:
        self._book = book
        self._requests = Requests(book, asking)
        self._completions = Completions(book)
        self._handlers = {
            wire.WORKFLOW_REQUESTS: self._requests.process,
            wire.TASK_COMPLETIONS: self._completions.complete,
            wire.WORKFLOW_STEPS: self.step,
        }

    async def handle(self, inbound: Inbound) -> None:
        """Settle one message."""
        await self._book.tools.settle(inbound, self._handlers[inbound.topic])

    async def step(self, inbound: Inbound) -> None:
        """Take a step that another aggregate, a timer or background work sent."""
        step, partition = inbound.decode(WorkflowStep), inbound.partition
        owner = canonical(step.workflow_id)
        if step.kind is WorkflowStepKind.SCAN:
            await self._scanned(inbound, step)
            return
        if step.kind is WorkflowStepKind.EXPIRE:
            await expiry.forget(self._book, partition, owner)
            return
        row = await self._book.current(partition, owner)
        if step.kind is WorkflowStepKind.TOLD:
            self._book.telling.ended(partition, owner, step.name, step.version)
        item = self._book.work.get(partition, owner, step.name)
        if item is None or item.version != step.version:
            return
        if step.kind is WorkflowStepKind.TOLD:
            await self._told(partition, step, item)
        elif item.kind is WorkKind.READ:
            await self._requests.read_again(partition, owner, item)
        elif item.kind is WorkKind.ROUTE:
            await self._completions.route_again(partition, owner, step.name, item)
        elif item.kind is WorkKind.TELL:
            at_once = item.model_copy(update={"due_ms": None, "version": item.version + 1})
            self._book.work.put(partition, owner, step.name, at_once)
            self._book.telling.begin(partition, owner)
        elif row is not None:
            await self._late(partition, owner, step.name, item)

    async def _scanned(self, inbound: Inbound, step: WorkflowStep) -> None:
        """Take a scan's news; scans of workflows that are not run here are their senders' own."""
        row = await self._book.current(inbound.partition, step.workflow_id)
        if row is None:
            return
        retries = self._book.tools.settings.task_retries
        when = self._book.moment(inbound)
        changed = evidence.scanned(row, step, when, retries=retries)
        if changed is not row:
            await self._book.settle(inbound.partition, changed)

    async def _told(self, partition: int, step: WorkflowStep, item: WorkItem) -> None:
        """Take that the exam manager was told, or why not: later again, or given up and announced."""
        book, owner, failure = self._book, canonical(step.workflow_id), step.failure
        faults = item.faults + step.fault
        if failure is not None and failure.again and faults < MOST_FAULTS:
            settings = book.tools.settings
            wait_ms = back_off_ms(item.tries, settings.retry_first_s, settings.retry_most_s)
            update = {
                "tries": item.tries + 1,
                "faults": faults,
                "version": item.version + 1,
                "due_ms": book.tools.clock.broker_ms() + wait_ms,
            }
            waiting = item.model_copy(update=update)
            await book.work.put(partition, owner, step.name, waiting).durable()
            return
        row = await book.current(partition, owner)
        if failure is not None and row is not None:
            note = f"{_what(item.act)} was not written at the exam manager: {failure.sentence}"
            when = Moment(step.name, 0, book.now_ms())
            changed = decide.noted(row, note, when)
            if changed is not row:
                await book.settle(partition, changed)
        await book.finish(partition, owner, step.name)
        book.telling.begin(partition, owner)

    async def _late(self, partition: int, owner: str, name: str, item: WorkItem) -> None:
        """Announce that a service takes long, once. Nothing else: a person decides (promise 6)."""
        row = await self._book.current(partition, owner)
        task = row.task(name.removeprefix(LATE)) if row is not None else None
        if row is not None and task is not None:
            late = task.state is TaskState.IN_PROGRESS and task.attempt == item.attempt
            limit = self._book.tools.settings.processing_s
            note = f"task {task.key}, attempt {task.attempt}: no completion for {limit:g} s"
            changed = decide.noted(row, note, Moment(name, 0, self._book.now_ms()))
            if late and changed is not row:
                await self._book.settle(partition, changed)
        await self._book.finish(partition, owner, name)

    def recovered(self) -> None:
        """Read the open work anew after a recovery; what ran in the background is begun again."""
        now = self._book.tools.clock.broker_ms()
        self._book.telling.recovered()
        for partition, owner, name, item in self._book.work.rebuild():
            if item.kind is WorkKind.TELL:
                self._book.telling.begin(partition, owner)
            elif item.kind is WorkKind.LATE and (item.due_ms or 0) < now + GRACE_MS:
                later = {"due_ms": now + GRACE_MS, "version": item.version + 1}
                self._book.work.put(partition, owner, name, item.model_copy(update=later))

    async def wake(self, due: Due) -> None:
        """Turn open work whose time has come into a message of its owner, on the row's partition."""
        step = WorkflowStep(
            kind=WorkflowStepKind.DUE, workflow_id=due.owner, name=due.name, version=due.version
        )
        key, topic = due.owner.encode(), wire.WORKFLOW_STEPS
        outbox = self._book.tools.outbox
        await outbox.deliver(topic, key, step.to_bytes(), partition=due.partition)


def _what(act: Act | None) -> str:
    if act is None or act.kind is ActKind.FINISH:
        return "that the workflow is finished"
    return f"{act.status} of task {act.task}"
