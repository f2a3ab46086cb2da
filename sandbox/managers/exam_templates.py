"""Exam manager, reference commit: templates of workflows and tasks, and copies of them.

Contract: exam-manager.openapi.json, tags `workflows` and `tasks`.
"""

from typing import Any, Final
from uuid import uuid4

from sandbox.managers.answers import SERVER_ERROR, Answer, RefusedError, as_json, detail, not_valid
from sandbox.managers.bodies import TaskIn, WorkflowIn
from sandbox.managers.exam_records import uuid_id
from sandbox.managers.exam_workflows import NO_TASK, NO_WORKFLOW, task_out, tasks_of
from sandbox.managers.router import Call, Route
from sandbox.managers.store import Row, Store, moment

NO_TEMPLATE: Final = detail(404, "Workflow is not a template.")
NO_TASK_TEMPLATE: Final = detail(404, "Task is not a template.")


class Templates:
    """Templates are rows like all others, but for `is_template`."""

    def __init__(self, store: Store, task_in: type[TaskIn] = TaskIn) -> None:
        self._store = store
        self._task_in = task_in

    def routes(self) -> list[Route]:
        """Give the operations; they stand before those with an id in their place."""
        base = "/api/v1/exam"
        return [
            Route("GET", f"{base}/workflow/templates/all", self.list_workflows),
            Route("POST", f"{base}/workflow/templates", self.create_workflow),
            Route("POST", f"{base}/workflow", self.copy_workflow),
            Route("GET", f"{base}/task/templates/all", self.list_tasks),
            Route("POST", f"{base}/task/template", self.create_task),
            Route("POST", f"{base}/task", self.copy_task),
        ]

    def list_workflows(self, _call: Call) -> Answer:
        """Give all templates of workflows, with their tasks."""
        rows = [row for row in self._store.rows("workflows") if row["is_template"]]
        return as_json([row | {"tasks": self._tasks(row["id"])} for row in rows])

    def create_workflow(self, call: Call) -> Answer:
        """Make a template of a workflow."""
        wanted = call.read(WorkflowIn).model_dump(mode="json")
        if not wanted["is_template"]:
            return NO_TEMPLATE
        row = self._new_workflow(wanted)
        return as_json(row | {"tasks": []}, 201)

    def copy_workflow(self, call: Call) -> Answer:
        """Copy a template into an exam; the answer does not show the tasks yet, as it may there."""
        exam_id, template_id = (_query(call, name) for name in ("exam_id", "template_id"))
        template = self._store.get("workflows", template_id)
        if template is None:
            return NO_WORKFLOW
        row = self._new_workflow(template | {"exam_id": exam_id, "is_template": False})
        tasks = tasks_of(self._store, template["id"])[::-1]  # their order is when they were made
        new_ids = {task["id"]: str(uuid4()) for task in tasks}
        for task in tasks:
            inputs = [new_ids.get(one, one) for one in task.get("input_task_ids") or ()]
            known = {"input_task_ids": inputs} if "input_task_ids" in task else {}
            moved = {"id": new_ids[task["id"]], "workflow_id": row["id"], "is_template": False}
            self._put_task(task | known | moved)
        return as_json(row | {"tasks": []}, 201)

    def list_tasks(self, _call: Call) -> Answer:
        """Give all templates of tasks."""
        rows = [row for row in self._store.rows("tasks") if row["is_template"]]
        return as_json([task_out(row, self._task_in) for row in rows])

    def create_task(self, call: Call) -> Answer:
        """Make a template of a task."""
        wanted = call.read(self._task_in).model_dump(mode="json")
        if not wanted["is_template"]:
            return NO_TASK_TEMPLATE
        return as_json(self._put_task(wanted | {"id": str(uuid4())}), 201)

    def copy_task(self, call: Call) -> Answer:
        """Copy a template into a workflow."""
        workflow_id, template_id = (_query(call, name) for name in ("workflow_id", "template_id"))
        template = self._store.get("tasks", template_id)
        if template is None:
            return NO_TASK
        if self._store.get("workflows", workflow_id) is None:
            return SERVER_ERROR  # a foreign key that does not hold
        moved = {"id": str(uuid4()), "workflow_id": workflow_id, "is_template": False}
        return as_json(self._put_task(template | moved), 201)

    def _new_workflow(self, fields: dict[str, Any]) -> Row:
        made = {"id": str(uuid4()), "datetime_created": moment(), "datetime_updated": None}
        row = fields | made
        self._store.put("workflows", row["id"], row)
        return row

    def _put_task(self, fields: dict[str, Any]) -> Row:
        row = fields | {"datetime_created": moment()}
        self._store.put("tasks", row["id"], row)
        return task_out(row, self._task_in)

    def _tasks(self, workflow_id: str) -> list[Row]:
        return [task_out(row, self._task_in) for row in tasks_of(self._store, workflow_id)]


def _query(call: Call, name: str) -> str:
    given = call.url.query.get(name)
    if given is None:
        raise RefusedError(not_valid("field required", "query", name))
    try:
        return str(uuid_id(given))
    except RefusedError:
        raise RefusedError(not_valid("value is not a valid uuid", "query", name)) from None
