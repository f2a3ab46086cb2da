"""Exam manager, reference commit: workflows and their tasks, read and replaced.

Contract: exam-manager.openapi.json, tags `workflows` and `tasks`; templates: exam_templates.py.
Workflows and tasks are seeded.
"""

from typing import Final

from sandbox.managers.answers import NO_CONTENT, Answer, RefusedError, as_json, detail
from sandbox.managers.bodies import TaskIn, WorkflowIn
from sandbox.managers.exam_records import uuid_id
from sandbox.managers.router import Call, Route
from sandbox.managers.store import Row, Store, moment

NO_WORKFLOW: Final = detail(404, "Workflow not found")
NO_TASK: Final = detail(404, "Task not found")
FROZEN_FOR_UPDATE: Final = detail(404, "Workflow is frozen and cannot be updated")
FROZEN_FOR_DELETE: Final = detail(404, "Workflow is frozen and cannot be deleted")
FROZEN_TASK: Final = detail(404, "Task is frozen and cannot be deleted")
"""Said to an update too."""
NO_EXAM: Final = detail(404, "Exam not found")


class Workflows:
    """Workflows and tasks. Whatever is not a UUID in a path is 500.

    With TaskWithInputsIn, tasks have the field `input_task_ids`; else nobody gets to see it.
    """

    def __init__(self, store: Store, task_in: type[TaskIn] = TaskIn) -> None:
        self._store = store
        self._task_in = task_in

    def routes(self) -> list[Route]:
        """Give the operations."""
        base = "/api/v1/exam"
        return [
            Route("GET", f"{base}/health/readiness", self.ready),
            Route("GET", f"{base}/workflow/{{workflow_id}}", self.get),
            Route("PUT", f"{base}/workflow/{{workflow_id}}", self.update),
            Route("DELETE", f"{base}/workflow/{{workflow_id}}", self.delete),
            Route("GET", f"{base}/workflow/all/{{exam_id}}", self.list_workflows),
            Route("GET", f"{base}/task/{{task_id}}", self.get_task),
            Route("PUT", f"{base}/task/{{task_id}}", self.update_task),
            Route("DELETE", f"{base}/task/{{task_id}}", self.delete_task),
            Route("GET", f"{base}/task/all/{{workflow_id}}", self.list_tasks),
            # No exam is ever known; but for this path, POST record would not be 405 without records.
            Route("GET", f"{base}/{{exam_id}}", self.get_exam),
        ]

    def ready(self, _call: Call) -> Answer:
        """Say that the tables exist."""
        return as_json({"status": "ok"})

    def get(self, call: Call) -> Answer:
        """Give a workflow with its tasks."""
        return as_json(self._workflow_out(self._workflow(call)))

    def update(self, call: Call) -> Answer:
        """Replace a workflow's fields; its tasks are not touched."""
        wanted = call.read(WorkflowIn)
        row = self._workflow(call)
        if row["is_frozen"]:
            return FROZEN_FOR_UPDATE
        row = row | wanted.model_dump(mode="json") | {"datetime_updated": moment()}
        self._store.put("workflows", row["id"], row)
        return as_json(self._workflow_out(row))

    def delete(self, call: Call) -> Answer:
        """Remove a workflow."""
        row = self._workflow(call)
        if row["is_frozen"]:
            return FROZEN_FOR_DELETE
        self._store.delete("workflows", row["id"])
        return NO_CONTENT

    def list_workflows(self, call: Call) -> Answer:
        """Give an exam's workflows; an unknown exam has none."""
        exam_id = uuid_id(call.params["exam_id"])
        rows = [row for row in self._store.rows("workflows") if row["exam_id"] == exam_id]
        return as_json([self._workflow_out(row) for row in rows])

    def get_task(self, call: Call) -> Answer:
        """Give a task."""
        return as_json(self._task_out(self._task(call)))

    def update_task(self, call: Call) -> Answer:
        """Replace a task's fields, workflow_id too. The last write wins."""
        wanted = call.read(self._task_in)
        row = self._task(call)
        if row["is_frozen"]:
            return FROZEN_TASK
        row = row | wanted.model_dump(mode="json")
        self._store.put("tasks", row["id"], row)
        return as_json(self._task_out(row))

    def delete_task(self, call: Call) -> Answer:
        """Remove a task."""
        row = self._task(call)
        if row["is_frozen"]:
            return FROZEN_TASK
        self._store.delete("tasks", row["id"])
        return NO_CONTENT

    def list_tasks(self, call: Call) -> Answer:
        """Give a workflow's tasks; an unknown workflow has none."""
        return as_json(self._tasks_of(uuid_id(call.params["workflow_id"])))

    def get_exam(self, call: Call) -> Answer:
        """Know no exam."""
        uuid_id(call.params["exam_id"])
        return NO_EXAM

    def _workflow(self, call: Call) -> Row:
        row = self._store.get("workflows", uuid_id(call.params["workflow_id"]))
        if row is None:
            raise RefusedError(NO_WORKFLOW)
        return row

    def _task(self, call: Call) -> Row:
        row = self._store.get("tasks", uuid_id(call.params["task_id"]))
        if row is None:
            raise RefusedError(NO_TASK)
        return row

    def _workflow_out(self, row: Row) -> Row:
        return row | {"tasks": self._tasks_of(row["id"])}

    def _tasks_of(self, workflow_id: object) -> list[Row]:
        return [self._task_out(row) for row in tasks_of(self._store, workflow_id)]

    def _task_out(self, row: Row) -> Row:
        return task_out(row, self._task_in)


def tasks_of(store: Store, workflow_id: object) -> list[Row]:
    """Give a workflow's tasks, newest first: no order is promised, so nobody may lean on one."""
    return [row for row in store.rows("tasks") if row["workflow_id"] == workflow_id][::-1]


def task_out(row: Row, task_in: type[TaskIn]) -> Row:
    """Give a task as a manager of this era answers it."""
    if "input_task_ids" in task_in.model_fields:
        return {"input_task_ids": []} | row
    return {key: value for key, value in row.items() if key != "input_task_ids"}
