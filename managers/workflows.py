"""The exam manager's workflows and tasks (contract exam-manager.openapi.json, from 2024-03 on).

It has no PATCH and no versions: a change is a PUT of the whole, and the last one wins. So what is
not ours to change goes back as it came, fields that only newer managers know included.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from managers.client import Manager, OversizeError, Question
from models.base import Message, is_uuid
from models.errors import PermanentError, TransientError
from models.managers import Task, TaskStatus, Workflow

WORKFLOW_MOST: Final = 4 * 1024 * 1024
TASK_MOST: Final = 1024 * 1024
ROUNDS: Final = 3
"""How often a change is written until it is found there; somebody else may write at the same time."""

_EXAM: Final = "/api/v1/exam"
_TASK: Final = TypeAdapter(Task)
_WORKFLOW: Final = TypeAdapter(Workflow)
_MADE_THERE: Final = frozenset({"id", "tasks", "datetime_created", "datetime_updated"})
"""Not in the body of a PUT, by the contract."""

_FROZEN_TASK: Final = "the task is frozen: its status stays as it is"
_FROZEN_WORKFLOW: Final = "the workflow is frozen: it can't be marked as finished"

M = TypeVar("M", bound=Message)


class FrozenError(PermanentError):
    """The task or workflow is frozen: nothing of it can be changed. A person did that on purpose."""


@dataclass(frozen=True, slots=True)
class GivenTask:
    """A task as the manager gave it; `fields` is its whole answer."""

    task: Task
    fields: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class GivenWorkflow:
    """A workflow with its tasks as the manager gave it; `fields` is its whole answer."""

    workflow: Workflow
    fields: dict[str, Any] = field(repr=False)


def _uuid(an_id: int | str, of: str) -> str:
    text = str(an_id)
    if not is_uuid(text):
        raise PermanentError(f"the {of}'s id is no UUID")  # the manager answers 500 to it
    return text.lower()


class WorkflowManager(Manager):
    """The part of the exam manager that keeps workflows and their tasks."""

    name = "exam manager"
    setting = "EXAM_MANAGER_URI"
    health = ("/api/v1/exam/health/readiness",)

    async def get_workflow(self, workflow_id: int | str) -> GivenWorkflow:
        """Give a workflow with its tasks, which come in no order.

        Raises PermanentError (404: unknown; an id that is no UUID; above 4 MiB), TransientError.
        """
        wanted = _uuid(workflow_id, "workflow")
        return GivenWorkflow(*await self._get("workflow", wanted, _WORKFLOW, WORKFLOW_MOST))

    async def get_task(self, task_id: int | str) -> GivenTask:
        """Give a task.

        Raises PermanentError (404: unknown; an id that is no UUID; above 1 MiB), TransientError.
        """
        wanted = _uuid(task_id, "task")
        return GivenTask(*await self._get("task", wanted, _TASK, TASK_MOST))

    async def update_task(self, given: GivenTask, status: TaskStatus, text: str) -> None:
        """Write a task back with another status, all else as it was given. Never repeated here.

        Raises FrozenError, PermanentError (404: it is gone), TransientError.
        """
        if given.task.is_frozen:
            raise FrozenError(_FROZEN_TASK)
        task_id, change = str(given.task.id), {"status": {status.value: text}}
        try:
            await self._put("task", task_id, given.fields | change, TASK_MOST)
        except PermanentError as error:
            # One answer for a task that is gone, and for one that was frozen meanwhile.
            if (
                error.status == HTTPStatus.NOT_FOUND
                and (await self.get_task(task_id)).task.is_frozen
            ):
                raise FrozenError(_FROZEN_TASK, status=error.status) from None
            raise

    async def update_workflow(self, given: GivenWorkflow, *, is_finished: bool) -> None:
        """Write a workflow back as finished or not, all else as it was given. Never repeated here.

        Raises FrozenError, PermanentError (404: it is gone), TransientError.
        """
        if given.workflow.is_frozen:
            raise FrozenError(_FROZEN_WORKFLOW)
        workflow_id, change = str(given.workflow.id), {"is_finished": is_finished}
        try:
            await self._put("workflow", workflow_id, given.fields | change, WORKFLOW_MOST)
        except PermanentError as error:
            gone = error.status == HTTPStatus.NOT_FOUND
            if gone and (await self.get_workflow(workflow_id)).workflow.is_frozen:
                raise FrozenError(_FROZEN_WORKFLOW, status=error.status) from None
            raise

    async def set_task_status(self, task_id: int | str, status: TaskStatus, text: str) -> GivenTask:
        """Set a task's status, merged into the task as it stands; give the task as it is then.

        Nothing is written where it has this status and text already, so it may be called again
        after any error. Takes no longer than one attempt, whole. Raises FrozenError (announce it),
        PermanentError (404: the task is gone), TransientError.
        """
        async with self._within("to set a task's status"):
            for puts_left in range(ROUNDS, -1, -1):
                given = await self.get_task(task_id)
                if given.task.status == {status: text}:
                    return given
                if puts_left:
                    await self.update_task(given, status, text)
        raise TransientError(
            f"the {self.name}'s task does not keep its status: others write it too"
        )

    async def set_workflow_finished(
        self, workflow_id: int | str, *, is_finished: bool = True
    ) -> GivenWorkflow:
        """Mark a workflow as finished, or as not finished; all else as with `set_task_status`."""
        async with self._within("to mark a workflow as finished"):
            for puts_left in range(ROUNDS, -1, -1):
                given = await self.get_workflow(workflow_id)
                if given.workflow.is_finished is is_finished:
                    return given
                if puts_left:
                    await self.update_workflow(given, is_finished=is_finished)
        raise TransientError(
            f"the {self.name}'s workflow does not keep is_finished: others write too"
        )

    @asynccontextmanager
    async def _within(self, asked: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TimeoutError:
            raise TransientError(
                f"the {self.name} did not answer in time when asked {asked}"
            ) from None

    async def _get(
        self, kind: str, wanted: str, model: TypeAdapter[M], most: int
    ) -> tuple[M, dict[str, Any]]:
        asked = f"for a {kind}"
        says = {404: f"knows no such {kind}"}
        path = f"{_EXAM}/{kind}/{wanted}"
        try:
            raw = await self._ask(
                Question(method="GET", path=path, asked=asked, most=most, says=says)
            )
        except OversizeError as error:
            raise PermanentError(
                f"the {kind} is too large: at most {most} bytes are taken", status=error.status
            ) from None
        answer = self._parse(model, raw, asked)
        try:
            # As it came: orjson bends integers above 64 bits.
            fields: dict[str, Any] = json.loads(raw)
        except RecursionError:
            raise TransientError(f"the {self.name}'s {kind} is nested too deeply") from None
        if str(fields["id"]).lower() != wanted:
            # Promise 10: the wrong task would scan the wrong patient.
            raise TransientError(f"the {self.name} answered with another {kind} than asked")
        return answer, fields

    async def _put(self, kind: str, wanted: str, fields: Mapping[str, Any], most: int) -> None:
        body = {name: value for name, value in fields.items() if name not in _MADE_THERE}
        await self._ask(
            Question(
                method="PUT",
                path=f"{_EXAM}/{kind}/{wanted}",
                asked=f"to change a {kind}",
                body=json.dumps(body, ensure_ascii=False).encode(),
                most=most,
                good=frozenset({200, 204}),
                says={404: f"takes no change of this {kind}"},
            )
        )
