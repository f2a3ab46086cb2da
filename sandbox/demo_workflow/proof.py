"""Was it as promised? From the answers, the exam manager and what each part wrote down itself. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from models.base import canonical
from models.managers import TaskStatus
from models.workflow import WorkflowResponse
from sandbox.demo_workflow.plan import FIRST, PLANS, SECOND, Plan

DONE: Final = str(TaskStatus.COMPLETED)
PENDING: Final = str(TaskStatus.PENDING)
COURSE: Final = {
    FIRST: ["running", "completed"],
    SECOND: ["running", "failed", "running", "completed"],
}
"""The states of each workflow, in order."""
ORDERS: Final = {FIRST: [True], SECOND: [False, True]}
"""How each order to the processing service is to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the exam manager has of a workflow."""

    finished: bool = False
    tasks: Mapping[str, str] = field(default_factory=dict)
    """Each task's status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known at the end."""

    answers: Mapping[str, Sequence[WorkflowResponse]]
    """Of each workflow, in order."""
    starts: Sequence[str]
    """The record of each START that the scanner took."""
    images: Sequence[str]
    """The record of each job that the reconstruction did."""
    orders: Mapping[str, Sequence[bool]]
    """How the service's orders for each task ended."""
    known: Mapping[str, Known]
    files: frozenset[str] = frozenset()
    """Tasks whose denoised image lies in the data lake."""


def problems(facts: Facts) -> list[str]:
    """Say, in a sentence each, what is not as promised."""
    found = []
    for name, plan in zip(("the first workflow", "the second workflow"), PLANS, strict=True):
        found += [f"{name}: {problem}" for problem in _problems(facts, plan)]
    for what, taken in (("scans were started", facts.starts), ("images were made", facts.images)):
        if len(taken) != len(PLANS):
            found.append(f"{len(taken)} {what}, not {len(PLANS)}")
    return found


def _problems(facts: Facts, plan: Plan) -> Iterable[str]:
    answers = facts.answers.get(plan.id, ())
    course = [state for state, _ in groupby(answer.status for answer in answers)]
    if course != COURSE[plan]:
        yield f"it was {', '.join(course) or 'never told of'}, not {', '.join(COURSE[plan])}"
    if not all(_in_order(answer, plan) for answer in answers):
        yield "a task was begun before those before it were done"
    record = _record(answers)
    for what, taken in (
        ("its scan was started", facts.starts),
        ("its image was made", facts.images),
    ):
        if taken.count(record) != 1:
            yield f"{what} {taken.count(record)} times"
    orders = list(facts.orders.get(plan.denoising, ()))
    if orders != ORDERS[plan]:
        told = ", ".join("done" if order else "failed" for order in orders) or "never sent"
        yield f"its denoising was {told}"
    if plan.denoising not in facts.files:
        yield "its denoised image is not in the data lake"
    known = facts.known.get(plan.id, Known())
    for number, task in enumerate(plan.tasks, start=1):
        if (status := known.tasks.get(task)) != DONE:
            yield f"task {number} is {status or 'unknown'} at the exam manager"
    if not known.finished:
        yield "it is not finished at the exam manager"


def _in_order(answer: WorkflowResponse, plan: Plan) -> bool:
    """Tell whether each task that was begun has only tasks before it that are done."""
    if [str(task.get("id")) for task in answer.tasks] != list(plan.tasks):
        return False
    states = [task.get("status") for task in answer.tasks]
    begun = max((n for n, state in enumerate(states) if state != PENDING), default=0)
    return all(state == DONE for state in states[:begun])


def _record(answers: Sequence[WorkflowResponse]) -> str:
    """Give the record of a workflow's scan; "" if none was told."""
    told = answers[-1].tasks[0].get("record_id") if answers and answers[-1].tasks else None
    return "" if told is None else canonical(told)


def summary(facts: Facts, wrong: Sequence[str], logs: Path) -> str:
    """Say in one line how it went, and what was looked at."""
    ended = [answers[-1].status for answers in facts.answers.values() if answers]
    orders = sum(len(ended) for ended in facts.orders.values())
    looked = (
        f"{sum(map(len, facts.answers.values()))} answers, {len(facts.starts)} STARTs in the scanner's"
        f" own log, {len(facts.images)} images, {orders} orders to the processing service"
    )
    counts = f"demo-workflow: {ended.count('completed')} of {len(PLANS)} workflows completed"
    if wrong:
        return f"{counts}: not as promised, see {logs} (checked: {looked})"
    return (
        f"{counts}, one after a failure and a resume; each of their 6 tasks done once, in order, and"
        f" COMPLETED at the exam manager; checked: {looked}"
    )


def read_lines(log: Path, name: str) -> list[dict[str, Any]]:
    """Read the lines of JSON that a part wrote, those that have a field of a name."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return [one for one in told if name in one]


def orders_in(lines: Iterable[Mapping[str, Any]]) -> dict[str, list[bool]]:
    """Give how the service's orders ended, by task; an order that came twice counts once."""
    orders = {str(one["message_id"]): (str(one["task_id"]), bool(one["success"])) for one in lines}
    return {
        task: [success for one, success in orders.values() if one == task]
        for task, _ in orders.values()
    }
