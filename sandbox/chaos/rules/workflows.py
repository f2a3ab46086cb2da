"""Workflows: each comes to an end that fits its tasks; a task goes out once, after the one before it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from models import wire
from models.base import canonical
from models.events import ScanState as S
from models.workflow import TaskState as T
from models.workflow import WorkflowStatus as W
from sandbox.chaos.facts import Message
from sandbox.chaos.flows.facts import Facts, request_of, success
from sandbox.chaos.history import History
from sandbox.chaos.rules.results import registered
from sandbox.chaos.rules.violation import Violation

_SCAN, _RECO, _SERVICE = range(3)
_IMAGE: Final = ".dcm"


def came_to_an_end(history: History) -> Iterator[Violation]:
    """See that each is completed, or was cancelled by a person and left so."""
    for facts in history.flow_facts.values():
        status, flow = facts.last["status"], facts.flow
        states = [str(task["status"]) for task in facts.tasks]
        cancelled = flow.left and flow.cancel_s is not None and status == W.CANCELLED
        if status != W.COMPLETED and not cancelled:
            yield _violation(facts, "ended", f"it came as far as {status} {states}")
        elif status == W.COMPLETED and states != [T.COMPLETED] * len(flow.tasks):
            yield _violation(facts, "ended", f"completed, and its tasks are {states}")
        elif status == W.CANCELLED and T.IN_PROGRESS in states:
            yield _violation(facts, "ended", f"cancelled, and to the end its tasks are {states}")
        for answer in facts.answers:
            told = answer.json
            if told["status"] == W.FAILED and not told.get("reasons"):
                yield _violation(facts, "ended", "failed, and no reason is told")


def fitting(history: History) -> Iterator[Violation]:
    """See that tasks ended as what they asked for did."""
    files: dict[str, set[str]] = {}
    for (record, _), found in registered(history).items():
        files.setdefault(record, set()).update(location for _, location in found)
    for facts in history.flow_facts.values():
        if len(facts.tasks) != len(facts.flow.tasks):
            continue
        record = str(facts.tasks[_SCAN].get("record_id") or "")
        having = files.get(record, set())
        image = any(one.endswith(_IMAGE) for one in having)
        done = (bool(having), image, facts.succeeded())
        for number, task in enumerate(facts.tasks):
            if task["status"] == T.COMPLETED and not done[number]:
                yield _violation(facts, "fitting", f"task {number} is COMPLETED, and was not done")
        key = history.owners.get(record)
        well = key is not None and history.changes[key][-1].state == S.COMPLETED
        for number in (_SCAN, _RECO) if well else ():
            state = facts.tasks[number]["status"]
            if state in (T.FAILED, T.CANCELLED):
                sentence = f"task {number} is {state}, and its scan is COMPLETED"
                yield _violation(facts, "fitting", sentence)


def sent_once(history: History) -> Iterator[Violation]:
    """See that each attempt of a task was sent as one message, however often; no attempt is left out."""
    for facts in history.flow_facts.values():
        for number, sent in ((_SCAN, facts.jobs), (_SERVICE, facts.events)):
            yield from _attempts(facts, number, sent)
        attempts = {int(one.json.get("attempt") or 0) for one in facts.wanted}
        if attempts != set(range(1, len(attempts) + 1)):
            sentence = f"its reconstruction was asked for in attempts {sorted(attempts)}"
            yield _violation(facts, "sent", sentence)
        for event in facts.events:
            if event.headers.get("certified") != b"true":
                yield _violation(facts, "sent", "its certified task is not marked as that")


def _attempts(facts: Facts, number: int, sent: Sequence[Message]) -> Iterator[Violation]:
    by_request: dict[str, set[tuple[str, bytes]]] = {}
    for message in sent:
        message_id = message.headers.get(wire.MESSAGE_ID, b"").decode()
        found = (message_id, message.value or b"")
        by_request.setdefault(request_of(message), set()).add(found)
    wanted = facts.request_ids(number)[: len(by_request)]
    if set(by_request) != set(wanted):
        yield _violation(facts, "sent", f"task {number} was sent under ids of no attempt")
    for request, copies in by_request.items():
        if len(copies) > 1:
            sentence = f"an attempt of task {number} was sent as {len(copies)} messages"
            yield _violation(facts, "sent", sentence, request)
    told = facts.tasks[number].get("attempt") or 0 if len(facts.tasks) > number else 0
    if told != len(by_request):
        sentence = f"task {number} was sent {len(by_request)} times, and {told} attempts are told"
        yield _violation(facts, "sent", sentence)


def in_order(history: History) -> Iterator[Violation]:
    """See that a task was sent only when the one before it was done."""
    raw, images = _times(history)
    for facts in history.flow_facts.values():
        mine = {history.record_of.get(key, "") for key in facts.scans()}
        for order in facts.wanted:
            record = canonical(order.json["record_id"])
            if record not in mine:
                yield _violation(facts, "order", f"record {record} is none of its scans", record)
            elif raw.get(record, order.ms + 1) > order.ms:
                sentence = f"its reconstruction was asked for before the data of {record} were here"
                yield _violation(facts, "order", sentence, record)
        for event in facts.events:
            given = event.json["input"]
            record = str(given.get("record_id"))
            if record not in mine or images.get(record, event.ms + 1) > event.ms:
                sentence = f"its service was asked before the image of {record} was made"
                yield _violation(facts, "order", sentence, record)
            elif not str(given.get("input")).startswith(f"records/{record}/"):
                yield _violation(facts, "order", "its service was not given the image", record)


def _times(history: History) -> tuple[dict[str, int], dict[str, int]]:
    """Give when the data of each record, and its image, were announced first."""
    found: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for topic, times in zip((wire.RESULT_UPLOADS, wire.RECO_RESULTS), found, strict=True):
        for message in history.of(topic):
            if not message.mark and message.json.get("success", True):
                record = canonical(message.json["record_id"])
                times[record] = min(message.ms, times.get(record, message.ms))
    return found


def never_back(history: History) -> Iterator[Violation]:
    """See that no answer goes back: from completed nowhere, and of tasks what is done stays done."""
    for facts in history.flow_facts.values():
        for before, after in pairwise(answer.json for answer in facts.answers):
            if before["status"] == W.COMPLETED != after["status"]:
                yield _violation(facts, "back", f"completed went back to {after['status']}")
            done = {one["id"] for one in before["tasks"] if one["status"] == T.COMPLETED}
            for task in after["tasks"]:
                if task["id"] in done and task["status"] != T.COMPLETED:
                    sentence = f"a task that was COMPLETED went back to {task['status']}"
                    yield _violation(facts, "back", sentence, str(task["id"]))


def answered(history: History) -> Iterator[Violation]:
    """See that whoever asked was answered, without any patient's data."""
    for facts in history.flow_facts.values():
        last = max((answer.ms for answer in facts.answers), default=-1)
        for request in facts.requests:
            if request.mark and request.ms > last:
                yield _violation(facts, "answered", f"{request.mark} was never answered")
        if any(b"patient" in (answer.value or b"") for answer in facts.answers):
            yield _violation(facts, "private", "an answer holds a patient's data")


_THERE: Final = {
    T.PENDING: "PENDING", T.COMPLETED: "COMPLETED", T.FAILED: "FAILED", T.CANCELLED: "FAILED",
    T.IN_PROGRESS: "IN_PROGRESS",
}  # fmt: skip
"""What a task's state is called at the exam manager, which does not know CANCELLED."""


def told_there(history: History) -> Iterator[Violation]:
    """See that in the end the exam manager has what the answers say, and never took back a COMPLETED."""
    tasks: dict[str, list[str]] = {}
    finished: dict[str, bool] = {}
    for change in history.managed:
        row: Any = change["row"]
        if change["table"] == "tasks":
            tasks.setdefault(row["id"], []).append(next(iter(row["status"])))
        else:
            finished[row["id"]] = row["is_finished"]
    for facts in history.flow_facts.values():
        is_finished = finished.get(facts.flow.id, False)
        if is_finished != (facts.last["status"] == W.COMPLETED):
            sentence = f"it is {facts.last['status']}, and is_finished is {is_finished}"
            yield _violation(facts, "told", sentence)
        for number, task in enumerate(facts.tasks):
            there = tasks.get(task["id"], ["nothing"])
            if there[-1] != _THERE[T(task["status"])]:
                sentence = f"task {number} is {task['status']}, and {there[-1]} at the exam manager"
                yield _violation(facts, "told", sentence, task["id"])
            if any(one == "COMPLETED" != two for one, two in pairwise(there)):
                sentence = f"task {number} went back at the exam manager: {' → '.join(there)}"
                yield _violation(facts, "told", sentence, task["id"])


def alone_once(history: History) -> Iterator[Violation]:
    """Of workflows to which nobody did anything: each task was done once, on each way of seeing it."""
    images: dict[str, set[str]] = {}
    for message in history.of(wire.RECO_RESULTS):
        record = canonical(message.json["record_id"])
        images.setdefault(record, set()).add(str(message.json["reco_job_id"]))
    for facts in history.flow_facts.values():
        records = [history.record_of.get(key, "") for key in facts.scans()]
        starts = sum(len(history.starts_of.get(record, ())) for record in records)
        reports = [success(one.json) for one in facts.reports]
        made = set[str]().union(*(images.get(record, ()) for record in records))
        seen = {
            "scans": len(records),
            "STARTs": starts,
            "images": len(made),
            "orders to the service": len({request_of(event) for event in facts.events}),
        }
        wanted = dict.fromkeys(seen, 1) | {"orders to the service": 1 + facts.flow.fails}
        if seen != wanted or not any(reports):
            sentence = ", ".join(f"{count} {name}" for name, count in seen.items())
            yield _violation(facts, "once", f"it had {sentence}")


def _violation(facts: Facts, rule: str, sentence: str, *more: str) -> Violation:
    about = (facts.flow.id, *(request for _, request in facts.scans()), *more)
    return Violation(rule=f"workflow-{rule}", sentence=sentence, about=about)
