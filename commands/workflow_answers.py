"""What a workflow's answers mean, and how they are told: plain functions, no I/O.

Of a task only what is named here is shown. Its args never are, whoever wrote the answer: they may hold
a patient's data (promise 8).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from commands.base import Exit
from commands.show import moment
from models.workflow import TaskState, WorkflowRequestKind, WorkflowResponse, WorkflowStatus

K = WorkflowRequestKind
S = WorkflowStatus

WAITS: Final = "it waits: "
"""How the reason begins of a workflow that is to run, and waits for a manager."""
ENDS: Final = (S.COMPLETED, S.FAILED, S.CANCELLED, S.UNKNOWN)
AT_WORK: Final = (
    "its scan was told, and may go on: `queue` and `status` show it. This is no emergency stop; the"
    " scanner's own button is"
)
HEAD: Final = ("task", "state", "type", "where", "id", "attempt", "record", "cause")
_PLACES: Final = ("device", "topic")
_FIELDS: Final = ("id", "type", "status", "attempt", "record_id", "cause")


def waits(answer: WorkflowResponse) -> bool:
    """Tell whether it is to run, or to go on, as soon as a manager is back."""
    return any(reason.startswith(WAITS) for reason in answer.reasons)


def ended(answer: WorkflowResponse) -> bool:
    """Tell whether nothing more comes by itself."""
    return answer.status in ENDS and not waits(answer)


def may_be_older(kind: WorkflowRequestKind, answer: WorkflowResponse) -> bool:
    """Tell whether an answer may be news from before the request was taken, so that it is none to it."""
    if kind is K.CANCEL:
        return answer.status not in ENDS
    return kind is K.RESUME and answer.status in (S.FAILED, S.CANCELLED) and not waits(answer)


def code_of(kind: WorkflowRequestKind, answer: WorkflowResponse) -> Exit:
    """Give the exit code of what was asked, by its answer."""
    if answer.status == S.UNKNOWN:
        return Exit.MISSING
    if kind is K.STATUS:
        return Exit.GOOD
    if kind is K.CANCEL:
        return Exit.GOOD if answer.status == S.CANCELLED else Exit.ERROR
    runs = answer.status in (S.RUNNING, S.COMPLETED) or waits(answer)
    return Exit.GOOD if runs else Exit.ERROR


def end_code(kind: WorkflowRequestKind, answer: WorkflowResponse) -> Exit:
    """Give the exit code of a workflow that was followed to its end."""
    as_asked = answer.status == S.CANCELLED and kind is K.CANCEL
    return Exit.GOOD if as_asked or answer.status == S.COMPLETED else Exit.ENDED


def advice(kind: WorkflowRequestKind, answer: WorkflowResponse) -> str | None:
    """Give what has to be said of a workflow that was cancelled while its scanner is at work."""
    scans = [task for task in answer.tasks if "DEVICE_TASK" in _text(task.get("type"))]
    at_work = any(task.get("status") == TaskState.IN_PROGRESS for task in scans)
    return AT_WORK if kind is K.CANCEL and answer.status == S.CANCELLED and at_work else None


def fact_rows(key: str, answer: WorkflowResponse) -> list[tuple[str, str]]:
    """Give what is known of a workflow, but for its tasks, named."""
    rows = [("workflow", key), ("state", answer.status)]
    if answer.at is not None:
        rows.append(("since", moment(answer.at)))
    rows += [("reason", reason) for reason in answer.reasons]
    return rows + [("note", note) for note in answer.notes]


def task_rows(answer: WorkflowResponse) -> list[tuple[str, ...]]:
    """Give the tasks' rows, in the order in which they run."""
    return [
        (
            str(number),
            _text(task.get("status")),
            _text(task.get("type")),
            _where(task),
            _text(task.get("id")),
            "" if task.get("attempt") == 1 else _text(task.get("attempt")),
            _text(task.get("record_id")),
            _text(task.get("cause")),
        )
        for number, task in enumerate(answer.tasks, start=1)
    ]


def line(row: tuple[str, ...], *, with_id: bool = True) -> str:
    """Write a task's row as a line."""
    number, state, kind, where, task, attempt, record, cause = row
    text = f"{number}  {state:<11}  {kind}  {where or '-'}"
    if with_id:
        text += f"  {task}"
    if attempt:
        text += f"  attempt {attempt}"
    if record:
        text += f"  record {record}"
    return f"{text}: {cause}" if cause else text


def changes(before: WorkflowResponse, after: WorkflowResponse) -> list[str]:
    """Say what changed from one answer to the next, in a line each; whose number it is was told."""
    known = dict(zip((row[0] for row in task_rows(before)), task_rows(before), strict=True))
    told = [
        f"task {line(row, with_id=False)}" for row in task_rows(after) if known.get(row[0]) != row
    ]
    told += [f"note: {note}" for note in after.notes if note not in before.notes]
    if (before.status, before.reasons) != (after.status, after.reasons):
        why = "; ".join(after.reasons)
        told.append(f"workflow {after.status}: {why}" if why else f"workflow {after.status}")
    now = datetime.now(UTC) if after.at is None else after.at
    return [f"{now:%H:%M:%S}  {text}" for text in told]


def facts(key: str, answer: WorkflowResponse) -> dict[str, Any]:
    """Give an answer for programs."""
    return {
        "workflow_id": key,
        "status": answer.status,
        "tasks": [
            {name: task[name] for name in _FIELDS if _text(task.get(name))}
            | {"destinations": _places(task)}
            for task in answer.tasks
        ],
        "reasons": list(answer.reasons),
        "notes": list(answer.notes),
        "at": None if answer.at is None else moment(answer.at),
    }


def _where(task: Mapping[str, Any]) -> str:
    return next(iter(_places(task).values()), "")


def _places(task: Mapping[str, Any]) -> dict[str, str]:
    given = task.get("destinations")
    if not isinstance(given, dict):
        return {}
    return {name: _text(given.get(name)) for name in _PLACES if _text(given.get(name))}


def _text(value: Any) -> str:
    """Take a text or a whole number, and nothing else."""
    return str(value) if type(value) in (str, int) else ""
