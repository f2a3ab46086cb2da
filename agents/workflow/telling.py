"""Tells the exam manager, in the background, how far tasks are, and that a workflow is finished.

One thing after the other for each workflow, in the order in which it happened; a row stays until it is
told. The manager being away delays this and nothing else.
"""

from typing import Final

from agents.device.health import Health
from agents.tools import Pool, Tools
from agents.workflow.state import Act, ActKind, WorkItem
from models import wire
from models.errors import PermanentError, TransientError
from models.steps import Failure, WorkflowStep, WorkflowStepKind
from streams.openwork import OpenWork

TELL: Final = "tell/"
"""How names of such rows begin; the rest sorts as it happened."""


class Telling:
    """Begins what is to be told; the outcome comes back as a message on `workflow-steps`.

    The pool is its own: an exam manager that hangs must not hold up files.
    """

    def __init__(self, tools: Tools, work: OpenWork[WorkItem], pool: Pool, health: Health) -> None:
        self._tools = tools
        self._work = work
        self._pool = pool
        self._health = health
        self._begun: set[tuple[int, str, str, int]] = set()

    def ended(self, partition: int, owner: str, name: str, version: int) -> None:
        """Note that the outcome of something came back."""
        self._begun.discard((partition, owner, name, version))

    def recovered(self) -> None:
        """Begin anew after a recovery: what was under way may be another worker's now."""
        self._begun.clear()

    def begin(self, partition: int, owner: str) -> None:
        """Tell the next thing, unless it waits for its time, or is under way."""
        name = self._work.first(partition, owner, TELL)
        item = self._work.get(partition, owner, name) if name is not None else None
        if name is None or item is None or item.due_ms is not None:
            return
        known, place = item, (partition, owner, name, item.version)
        if place in self._begun:
            return
        self._begun.add(place)

        async def run() -> None:
            await self._tell(owner, name, known)

        self._pool.submit(f"{partition}/{owner}/{name}/{item.version}", run)

    async def _tell(self, owner: str, name: str, item: WorkItem) -> None:
        failure, fault = None, False
        try:
            await self._ask(owner, item.act)
        except TransientError as error:
            failure, fault = Failure(sentence=str(error), again=True), error.at_fault
        except PermanentError as error:
            failure = Failure(sentence=str(error))
        step = WorkflowStep(
            kind=WorkflowStepKind.TOLD,
            workflow_id=owner,
            name=name,
            version=item.version,
            failure=failure,
            fault=fault,
        )
        await self._tools.outbox.deliver_step(wire.WORKFLOW_STEPS, owner, step.to_bytes())

    async def _ask(self, owner: str, act: Act | None) -> None:
        exams = self._tools.managers.exams
        if act is None:
            return
        if act.kind is ActKind.FINISH:
            await self._health.ask(exams, owner, exams.set_workflow_finished(owner))
        elif act.status is not None:
            telling = exams.set_task_status(act.task, act.status, act.text)
            await self._health.ask(exams, act.task, telling)
