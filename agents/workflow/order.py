"""Which tasks come before which, which are ready, and what they are given: plain functions, no I/O."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from agents.workflow.state import TaskKind, TaskRow, WorkflowRow
from models.workflow import TaskState

T = TaskState

RECORD_ID: Final = "record_id"
INPUT: Final = "input"


def in_order(tasks: Iterable[TaskRow]) -> tuple[TaskRow, ...]:
    """Sort tasks as they were made (messages.md 6); of the same moment, by id."""
    return tuple(sorted(tasks, key=lambda task: (_moment(task.created), task.key)))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def before(tasks: Sequence[TaskRow], task: TaskRow) -> list[TaskRow]:
    """Give the tasks whose results a task may use, in their order: all before it, or its inputs'."""
    if task.inputs is None:
        return list(tasks[: [one.key for one in tasks].index(task.key)])
    found: set[str] = set()
    open_ids = list(task.inputs)
    known = {one.key: one for one in tasks}
    while open_ids:
        one = known.get(open_ids.pop())
        if one is not None and one.key not in found:
            found.add(one.key)
            open_ids += one.inputs or ()
    return [one for one in tasks if one.key in found]


def ready(row: WorkflowRow) -> list[TaskRow]:
    """Give the tasks that can be dispatched now.

    Without inputs one at a time, in order: the first that is not COMPLETED, if it is PENDING.
    """
    done = {task.key for task in row.tasks if task.state is T.COMPLETED}
    found = []
    for task in row.tasks:
        if task.inputs is None:
            if task.key in done:
                continue
            return [task] if task.state is T.PENDING else []
        if task.state is T.PENDING and done.issuperset(task.inputs):
            found.append(task)
    return found


def scan_of(tasks: Sequence[TaskRow], task: TaskRow) -> TaskRow | None:
    """Give the device's task whose scan a task works on: the nearest before it."""
    devices = [one for one in before(tasks, task) if one.kind is TaskKind.DEVICE]
    return devices[-1] if devices else None


def reconstructs_itself(tasks: Sequence[TaskRow], device_task: TaskRow) -> bool:
    """Tell whether a scan has its own reconstruction: no later task of the workflow does it."""
    for task in tasks:
        if task.kind is TaskKind.RECONSTRUCTION and task.state is not T.COMPLETED:
            scan = scan_of(tasks, task)
            if scan is not None and scan.key == device_task.key:
                return False
    return True


def given(tasks: Sequence[TaskRow], task: TaskRow) -> dict[str, str]:
    """Give a task's input: its own args, and over them what the tasks before it produced.

    Args are written before anything ran, so `record_id` and `input` there are mostly placeholders.
    """
    merged = dict(task.args)
    for one in before(tasks, task):
        if one.state is T.COMPLETED:
            merged |= one.artifacts
    if task.kind is TaskKind.RECONSTRUCTION:
        scan = scan_of(tasks, task)
        if scan is not None:
            merged |= {k: v for k, v in scan.artifacts.items() if k in (RECORD_ID, INPUT)}
    return merged


def circle(tasks: Sequence[TaskRow]) -> bool:
    """Tell whether tasks wait for each other in a circle."""
    return any(task.key in {one.key for one in before(tasks, task)} for task in tasks)
