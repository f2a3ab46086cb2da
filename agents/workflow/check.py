"""Whether a workflow may run, by what it says itself: every reason why not, at once. No I/O.

What only others know (is there such a device, a sequence, a topic, a file) is asked in asking.py.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from agents.device.decide import refuse
from agents.workflow import order
from agents.workflow.state import (
    MOST_BYTES,
    MOST_TASKS,
    TaskKind,
    TaskRow,
    WorkflowRow,
)
from agents.workflow.writing import try_scan_job
from models.base import RecordId, canonical
from models.managers import Task, TaskStatus, TaskType, Workflow
from models.workflow import RunState, TaskState, WorkflowStatus
from settings import DeviceDialect, RecordsDialect

T = TaskState

MOST_REASONS: Final = 256
FINISHED: Final = "the workflow is finished"
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_DEVICES: Final = (TaskType.DEVICE_TASK, TaskType.CERTIFIED_DEVICE_TASK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is permitted here; topics by their real names."""

    records: RecordsDialect
    dialect: DeviceDialect
    reco_topic: str
    allowed: frozenset[str]


class Plan(NamedTuple):
    """A workflow as it would be run, and why it may not be."""

    tasks: tuple[TaskRow, ...] = ()
    reasons: tuple[str, ...] = ()
    told: WorkflowStatus | None = None


def plan(workflow: Workflow, known: WorkflowRow | None, rules: Rules, *, resume: bool) -> Plan:
    """Plan a run: what is done stays done, what failed here is done again (only by `resume`)."""
    reasons, told = _whole(workflow)
    if reasons:
        return Plan((), tuple(reasons), told)
    mine = {task.key: task for task in known.tasks} if known is not None and _ran(known) else {}
    graph = any(task.input_task_ids for task in workflow.tasks)
    tasks = order.in_order(
        _task(task, mine.get(canonical(task.id)), rules, graph=graph) for task in workflow.tasks
    )
    if len({task.key for task in tasks}) < len(tasks):
        return Plan((), ("two tasks have one id",))
    if _bytes(workflow.id, tasks) > MOST_BYTES:
        return Plan((), (f"the workflow is larger than {MOST_BYTES} bytes",))
    there = {canonical(task.id): task for task in workflow.tasks}
    tangled = list(_tangles(tasks))
    for task in tasks:
        found = [] if resume or task.key in mine else _of_others(there[task.key])
        if task.state is T.PENDING:
            if there[task.key].is_template:
                found.append("it is a template")
            if not tangled:
                found += _problems(workflow.id, tasks, task, rules)
        reasons += [f"task {task.key}: {problem}" for problem in found]
    return Plan(tasks, bounded([*tangled, *reasons]))


def bounded(reasons: Sequence[str]) -> tuple[str, ...]:
    """Give as many reasons as a message takes."""
    more = len(reasons) - MOST_REASONS
    kept = [reason[:1000] for reason in reasons[:MOST_REASONS]]
    return (*kept, f"and {more} more") if more > 0 else tuple(kept)


def _whole(workflow: Workflow) -> tuple[list[str], WorkflowStatus | None]:
    reasons = []
    if workflow.is_template:
        reasons.append("the workflow is a template: a copy of it can be run")
    if workflow.is_frozen:
        reasons.append("the workflow is frozen: nothing of it can be changed")
    if not workflow.tasks:
        reasons.append("the workflow is empty: it has no tasks")
    if len(workflow.tasks) > MOST_TASKS:
        reasons.append(
            f"the workflow has {len(workflow.tasks)} tasks, at most {MOST_TASKS} are run"
        )
    if workflow.is_finished:
        return [*reasons, FINISHED], WorkflowStatus.COMPLETED
    return reasons, None


def _ran(known: WorkflowRow) -> bool:
    return known.state in (RunState.FAILED, RunState.CANCELLED)


def _task(given: Task, mine: TaskRow | None, rules: Rules, *, graph: bool) -> TaskRow:
    """Make a task's row; the one that we have counts more than what the exam manager says."""
    if mine is not None and mine.state in (T.COMPLETED, T.IN_PROGRESS):
        return mine
    topic = given.destinations.get("topic", "")
    if given.type in _DEVICES:
        kind = TaskKind.DEVICE
    else:
        kind = TaskKind.RECONSTRUCTION if topic == rules.reco_topic else TaskKind.SERVICE
    done = given.state is TaskStatus.COMPLETED
    artifacts: Mapping[str, str] = given.artifacts if done else {}
    record: RecordId | None = None
    if done and kind is TaskKind.DEVICE and rules.records is RecordsDialect.TASK:
        record, artifacts = given.id, {order.RECORD_ID: canonical(given.id), **artifacts}
    return TaskRow(
        id=given.id,
        type=given.type,
        kind=kind,
        created=given.datetime_created[:64],
        args=given.args,
        # One character more than is permitted, so that what is too long is seen as that.
        device=given.destinations.get("device", "")[:257],
        topic=topic[:250],
        inputs=tuple(canonical(one) for one in given.input_task_ids or ()) if graph else None,
        state=T.COMPLETED if done else T.PENDING,
        attempt=mine.attempt if mine is not None else 0,
        # A message that ended an earlier attempt may come again, and ends no other.
        ended_by=mine.ended_by if mine is not None else (),
        record_id=record,
        artifacts=dict(artifacts),
    )


def _bytes(workflow_id: RecordId, tasks: tuple[TaskRow, ...]) -> int:
    return len(WorkflowRow(id=workflow_id, state=RunState.RUNNING, tasks=tasks).to_bytes())


def _tangles(tasks: Sequence[TaskRow]) -> list[str]:
    known = {task.key for task in tasks}
    found = [
        f"task {task.key}: it waits for a task that is not in the workflow"
        for task in tasks
        if not known.issuperset(task.inputs or ())
    ]
    if not found and order.circle(tasks):
        found.append("tasks wait for each other in a circle")
    return found


def _of_others(given: Task) -> list[str]:
    """Say that somebody else ran a task, or runs it: a person decides what that means."""
    if given.state is TaskStatus.IN_PROGRESS:
        return ["it is IN_PROGRESS and not by us: somebody else runs it; resume takes it over"]
    if given.state in (TaskStatus.FAILED, TaskStatus.ERROR):
        return [f"it is {given.state} at the exam manager: resume goes on from there"]
    return []


def _problems(
    workflow_id: RecordId, tasks: Sequence[TaskRow], task: TaskRow, rules: Rules
) -> list[str]:
    if task.kind is TaskKind.DEVICE:
        job, problems = try_scan_job(workflow_id, task)
        if job is None:
            return problems
        problem = refuse(job, records=rules.records, dialect=rules.dialect)
        return [problem] if problem is not None else []
    found = []
    if not task.topic:
        found.append("it names no topic")
    elif not _TOPIC.fullmatch(task.topic):
        found.append("its topic can't be the name of one")
    elif task.topic not in rules.allowed:
        found.append(f"topic {task.topic} is not permitted: see SCANHUB_TOPIC_ALLOW")
    return found + _input_problem(tasks, task)


def _input_problem(tasks: Sequence[TaskRow], task: TaskRow) -> list[str]:
    if task.kind is TaskKind.SERVICE:
        if needs_file(tasks, task) and not task.args.get(order.INPUT):
            return ["nobody produces its input, and its args name none"]
        return []
    scan = order.scan_of(tasks, task)
    if scan is None:
        try:
            canonical(task.args.get(order.RECORD_ID, ""))
        except ValueError:
            return ["no scan comes before it, and its args name no record"]
    elif scan.state is T.COMPLETED and order.RECORD_ID not in scan.artifacts:
        # Its args may name a record, but before a scan they are placeholders (promise 10).
        return ["the record of the scan before it is not known here"]
    return []


def needs_file(tasks: Sequence[TaskRow], task: TaskRow) -> bool:
    """Tell whether a service's input must lie in the data lake already: no task makes it."""
    return task.kind is TaskKind.SERVICE and not any(
        one.state is not T.COMPLETED or order.INPUT in one.artifacts
        for one in order.before(tasks, task)
    )
