"""The checker on workflows: silent about one that went well; one broken promise at a time is seen."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from models import wire
from sandbox.chaos.checker import RULES, SIDE_BY_SIDE, check
from sandbox.chaos.facts import Message
from sandbox.chaos.figures import figures
from sandbox.chaos.flows.plan import Flow, make_crowd
from sandbox.chaos.history import History
from sandbox.chaos.report import report
from sandbox.chaos.rules import workflows as rules
from sandbox.chaos.traffic import MARK
from tests.chaos.histories import Scene

(FLOW,) = make_crowd(1, 1, ["mri-1"])
SCAN, RECO, SERVICE = FLOW.tasks
WELL = replace(FLOW, fails=False)
DONE = ("COMPLETED", "COMPLETED", "COMPLETED")


def request(task: str, attempt: int = 1) -> str:
    return wire.make_id(FLOW.id, f"task/{task}", attempt)


def headers(task: str, kind: str, attempt: int = 1) -> dict[str, str]:
    mine = request(task, attempt)
    return {wire.REQUEST_ID: mine, wire.MESSAGE_ID: wire.make_id(mine, kind)}


def answer(
    scene: Scene, at: float, status: str, tasks: tuple[str, ...], attempt: int = 1, **more: Any
) -> None:
    told = [
        {"id": task, "status": state, "attempt": attempt if state != "PENDING" else None}
        for task, state in zip(FLOW.tasks, tasks, strict=True)
    ]
    told[0]["record_id"] = "1"
    body = {"workflow_id": FLOW.id, "status": status, "tasks": told, **more}
    named = {wire.MESSAGE_ID: f"answer-{len(scene.messages)}"}
    scene.add(wire.WORKFLOW_RESPONSES, body, FLOW.id, at, named)


def reconstruct(scene: Scene, at: float, attempt: int = 1, record: int = 1) -> None:
    step = {"kind": "reconstruct", "record_id": record, "workflow_id": FLOW.id, "attempt": attempt}
    scene.add(wire.RECORD_STEPS, step, str(record), at)


def order(scene: Scene, at: float, attempt: int = 1, marked: str = "true", **given: str) -> None:
    body = {"task_id": SERVICE, "input": {"record_id": "1", "input": "records/1/i.dcm", **given}}
    named = headers(SERVICE, "task-event", attempt) | {"certified": marked}
    scene.add(wire.TASK_EVENTS, body, SERVICE, at, named)


def job(scene: Scene, attempt: int = 1, kind: str = "scan-job", **fields: Any) -> Message:
    body = {"id": SCAN, "task_id": SCAN, "workflow_id": FLOW.id, "device_id": "mri-1", **fields}
    body = {"sequence_id": "s", **body}
    return scene.add(wire.SCAN_JOBS, body, "mri-1", 0, headers(SCAN, kind, attempt))


@pytest.fixture
def scene() -> Scene:
    """A workflow that went well, from its start to its end at the exam manager."""
    scene = Scene()
    scene.scan(request(SCAN), 1)
    scene.messages.pop(0)  # the job of a client
    scene.client.clear()
    asked = {"workflow_id": FLOW.id, "type": "start_workflow"}
    scene.add(wire.WORKFLOW_REQUESTS, asked, FLOW.id, 0, {MARK: "flow-00000-start"})
    job(scene)
    answer(scene, 0.01, "running", ("IN_PROGRESS", "PENDING", "PENDING"))
    reconstruct(scene, 0.52)
    answer(scene, 0.53, "running", ("COMPLETED", "IN_PROGRESS", "PENDING"))
    order(scene, 0.8)
    answer(scene, 0.81, "running", ("COMPLETED", "COMPLETED", "IN_PROGRESS"))
    scene.add(wire.TASK_COMPLETIONS, {"task_id": SERVICE, "status": "COMPLETED"}, SERVICE, 0.9)
    answer(scene, 0.95, "completed", DONE)
    return scene


def rows(*states: str, finished: bool = True) -> list[dict[str, Any]]:
    """What the exam manager has: each task's statuses, separated by spaces."""
    found: list[dict[str, Any]] = [
        {"table": "tasks", "row": {"id": task, "status": {status: ""}}}
        for task, several in zip(FLOW.tasks, states, strict=True)
        for status in several.split()
    ]
    return [*found, {"table": "workflows", "row": {"id": FLOW.id, "is_finished": finished}}]


def history(scene: Scene, flow: Flow = WELL, managed: Any = None) -> History:
    there = rows(*DONE) if managed is None else managed
    return replace(scene.history(), flows=(flow,), managed=there)


def found(one: History) -> set[str]:
    told = (f"{v.rule}: {v.sentence}" for v in check(one, SIDE_BY_SIDE))
    return {sentence for sentence in told if sentence.startswith("workflow")}


def test_nothing_is_found_in_a_workflow_that_went_well(scene: Scene) -> None:
    assert [(v.rule, v.sentence) for v in check(history(scene), SIDE_BY_SIDE)] == []


def test_a_repeat_of_anything_is_nothing(scene: Scene) -> None:
    topics = (wire.SCAN_JOBS, wire.TASK_EVENTS, wire.WORKFLOW_RESPONSES, wire.TASK_COMPLETIONS)
    again = [m for m in scene.messages if m.topic in topics]
    scene.messages += [replace(m, offset=m.offset + 1000, ms=m.ms + 5000) for m in again]
    assert found(history(scene)) == set()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda s: answer(s, 1, "running", DONE), "came as far as running"),
        (lambda s: answer(s, 1, "running", DONE), "completed went back to running"),
        (lambda s: answer(s, 1, "failed", DONE), "no reason is told"),
        (
            lambda s: answer(s, 1, "completed", ("FAILED", *DONE[1:])),
            "completed, and its tasks are ['FAILED'",
        ),
        (
            lambda s: answer(s, 1, "completed", ("FAILED", *DONE[1:])),
            "a task that was COMPLETED went back to FAILED",
        ),
        (
            lambda s: answer(s, 1, "failed", ("FAILED", *DONE[1:]), reasons=["x"]),
            "task 0 is FAILED, and its scan is COMPLETED",
        ),
        (lambda s: job(s, attempt=2), "task 0 was sent 2 times, and 1 attempts are told"),
        (lambda s: job(s, attempt=3), "task 0 was sent under ids of no attempt"),
        (lambda s: job(s, kind="another"), "an attempt of task 0 was sent as 2 messages"),
        (lambda s: job(s, sequence_id="z"), "an attempt of task 0 was sent as 2 messages"),
        (lambda s: reconstruct(s, 0.6, 3), "was asked for in attempts [1, 3]"),
        (lambda s: reconstruct(s, 0.6, record=9), "record 9 is none of its scans"),
        (lambda s: order(s, 0.9, marked="no"), "its certified task is not marked as that"),
        (lambda s: order(s, 0.9, 2), "task 2 was sent 2 times, and 1 attempts are told"),
        (lambda s: order(s, 0.9, 2), "it had 1 scans, 1 STARTs, 1 images, 2 orders"),
        (lambda s: order(s, 0.85, record_id="9"), "before the image of 9 was made"),
        (lambda s: order(s, 0.85, input="42.npy"), "was not given the image"),
        (lambda s: answer(s, 1, "completed", DONE, args="patient_height"), "a patient's data"),
        (
            lambda s: s.add(
                wire.WORKFLOW_REQUESTS, {"workflow_id": FLOW.id, "type": "get_status"}, FLOW.id,
                2, {MARK: "flow-00000-status"},
            ),
            "flow-00000-status was never answered",
        ),
    ],
)  # fmt: skip
def test_what_the_messages_show_is_seen(
    scene: Scene, spoil: Callable[[Scene], Any], words: str
) -> None:
    spoil(scene)
    assert any(words in one for one in found(history(scene))), found(history(scene))


def test_what_is_sent_before_the_task_before_it_is_done_is_seen(scene: Scene) -> None:
    def early(topic: str) -> set[str]:
        moved = [replace(m, ms=m.ms - 700) if m.topic == topic else m for m in scene.messages]
        return found(replace(history(scene), messages=moved))

    late = [m for m in scene.messages if m.topic == wire.RECO_RESULTS]
    scene.messages = [replace(m, ms=m.ms + 750) if m in late else m for m in scene.messages]
    assert found(history(scene)) == set()
    assert any("before the image of 1 was made" in one for one in early(wire.TASK_EVENTS))
    assert any("before the data of 1 were here" in one for one in early(wire.RECORD_STEPS))


def test_a_task_without_what_it_produces_was_not_done(scene: Scene) -> None:
    kept = [m for m in scene.messages if m.topic != wire.TASK_COMPLETIONS]
    one = replace(history(scene), messages=kept)
    assert "workflow-fitting: task 2 is COMPLETED, and was not done" in found(one)
    kept = [m for m in scene.messages if b"RESULT_REGISTERED" not in (m.value or b"")]
    told = found(replace(history(scene), messages=kept))
    assert {f"workflow-fitting: task {n} is COMPLETED, and was not done" for n in (0, 1)} <= told


@pytest.mark.parametrize(
    ("managed", "words"),
    [
        (rows(*DONE, finished=False), "it is completed, and is_finished is False"),
        (rows("COMPLETED", "COMPLETED", "IN_PROGRESS"), "and IN_PROGRESS at the exam manager"),
        (rows("COMPLETED IN_PROGRESS COMPLETED", *DONE[1:]), "went back at the exam manager"),
        ([], "and nothing at the exam manager"),
    ],
)
def test_what_the_exam_manager_was_not_told_is_seen(
    scene: Scene, managed: list[dict[str, Any]], words: str
) -> None:
    assert any(words in one for one in found(history(scene, managed=managed)))


def test_one_that_a_person_cancelled_may_stay_so_and_no_other() -> None:
    scene = Scene()
    job(scene)
    answer(scene, 0.1, "running", ("IN_PROGRESS", "PENDING", "PENDING"))
    answer(scene, 0.2, "cancelled", ("CANCELLED", "PENDING", "PENDING"), reasons=["x"])
    there = rows("PENDING IN_PROGRESS FAILED", "PENDING", "PENDING", finished=False)
    left = replace(WELL, cancel_s=1, left=True)

    def seen(flow: Flow) -> list[str]:
        one = history(scene, flow, there)
        return [
            v.sentence for rule in RULES if rule.__module__ == rules.__name__ for v in rule(one)
        ]

    assert seen(left) == []
    assert seen(replace(left, left=False)) == [
        "it came as far as cancelled ['CANCELLED', 'PENDING', 'PENDING']"
    ]
    answer(scene, 0.3, "cancelled", ("IN_PROGRESS", "PENDING", "PENDING"), reasons=["x"])
    assert any("to the end its tasks are" in one for one in seen(left))


def test_a_service_that_fails_once_is_asked_twice(scene: Scene) -> None:
    flow = replace(WELL, fails=True)
    assert any("1 orders to the service" in one for one in found(history(scene, flow)))
    order(scene, 0.96, 2)
    sentences = found(history(scene, flow))
    assert not any("workflow-once" in one for one in sentences)


def test_workflows_are_counted_and_reported(scene: Scene) -> None:
    crowd = history(scene)
    crowd = replace(crowd, runner=[{"what": "at-rest", "wall": 9, "seconds": 41.6}])
    run = {
        "seed": 1, "minutes": 1.0, "command": "make chaos",
        "figures": json.loads(json.dumps(figures(crowd, [], crowd))),
    }  # fmt: skip
    assert run["figures"]["workflows"]["requests"] == {"start_workflow": 1}
    text = report([run])
    assert "completed, cancelled (attempts of tasks) | 1, 0 (3) |" in text
    assert "completed, devices, time | 1 of 1, 1, 42 s |" in text
    run["figures"] = json.loads(json.dumps(figures(Scene().history(), [])))
    assert "completed, devices, time | none |" in report([run])
