"""Workflows of a run: the same for a seed, asked for in order, resumed by a person, then served."""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from models import wire
from models.workflow import TaskCompletion, WorkflowRequest, WorkflowRequestKind
from sandbox.chaos.client import Client
from sandbox.chaos.facts import Message
from sandbox.chaos.flows.asker import Asker, asks
from sandbox.chaos.flows.facts import success
from sandbox.chaos.flows.plan import Flow, make_crowd, make_flows, rows
from sandbox.chaos.flows.service import Service, report
from sandbox.chaos.seen import Answer, Seen
from sandbox.chaos.settle import ended, settle
from sandbox.chaos.traffic import Post, Sender
from sandbox.chaos.watch import Watch

DEVICES = ["mri-1", "mri-2"]
(FLOW,) = make_crowd(1, 1, DEVICES)


class Letters:
    """Takes what would be sent; refuses so many first."""

    def __init__(self, refused: int = 0) -> None:
        self.posts: list[Post] = []
        self.refused = refused

    def send(self, post: Post) -> "asyncio.Task[bool]":
        self.posts.append(post)
        self.refused -= 1
        return asyncio.create_task(_said(self.refused < 0))


async def _said(taken: bool) -> bool:
    return taken


def test_a_seed_gives_the_same_workflows_each_time_with_all_that_a_person_does() -> None:
    flows = make_flows(3, 1200, 200, DEVICES)
    assert flows == make_flows(3, 1200, 200, DEVICES)
    assert flows != make_flows(4, 1200, 200, DEVICES)
    assert all(0 <= flow.t <= 1200 for flow in flows)
    assert {flow.sender for flow in flows} == set(Sender)
    assert {flow.cancel_s is not None and flow.left for flow in flows} == {True, False}
    assert any(flow.again_s for flow in flows)
    assert any(flow.fails for flow in flows)
    ids = {one for flow in flows for one in (flow.id, *flow.tasks)}
    assert len(ids) == 4 * len(flows)


def test_a_crowd_is_on_all_devices_and_nothing_is_done_to_it() -> None:
    crowd = make_crowd(3, 20, DEVICES)
    assert [flow.device for flow in crowd[:3]] == ["mri-1", "mri-2", "mri-1"]
    assert {(flow.t, flow.again_s, flow.cancel_s, flow.left) for flow in crowd} == {
        (0, None, None, False)
    }
    assert sum(flow.fails for flow in crowd) == 2


def test_the_exam_manager_gets_tasks_in_the_order_of_their_dates_under_real_topics() -> None:
    given = rows([FLOW], "x.")
    assert [task["id"] for task in given["tasks"]] == list(FLOW.tasks)
    dates = [task["datetime_created"] for task in given["tasks"]]
    assert dates == sorted(set(dates))
    places = [task["destinations"] for task in given["tasks"]]
    assert places == [{"device": "mri-1"}, {"topic": "x.reco-jobs"}, {"topic": "x.task-events"}]


def test_what_is_asked_comes_by_time_and_a_cancellation_after_the_start() -> None:
    flows = make_flows(3, 100, 50, DEVICES)
    found = asks(flows)
    assert [ask.t for ask in found] == sorted(ask.t for ask in found)
    for flow in flows:
        mine = [ask.mark for ask in found if ask.flow is flow]
        assert mine[0] == "start"
        assert ("cancel" in mine) == (flow.cancel_s is not None)


def answer(watch: Watch, status: str, number: int, *tasks: str) -> None:
    told = {"status": status, "tasks": [{"status": one} for one in tasks]}
    watch.take(
        Message(
            topic=wire.WORKFLOW_RESPONSES, partition=0, offset=number, ms=0, key=FLOW.id.encode(),
            value=json.dumps(told).encode(), headers={wire.MESSAGE_ID: b"m%d" % number},
        )
    )  # fmt: skip


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, moved by hand."""
    at = [1000.0]
    monkeypatch.setattr("sandbox.chaos.flows.asker.time.monotonic", lambda: at[0])
    return at


def kinds(letters: Letters) -> list[str]:
    found = [WorkflowRequest.from_bytes(post.value or b"").type for post in letters.posts]
    return [WorkflowRequestKind(kind).name for kind in found]


async def test_what_failed_is_resumed_once_and_again_only_if_nothing_comes_of_it(
    now: list[float],
) -> None:
    watch, letters = Watch("", "", 4), Letters()
    one = Asker([FLOW], cast("Client", letters), watch)
    await one.run()
    assert kinds(letters) == ["START"]

    def look(after: float) -> list[str]:
        now[0] += after
        one._see_to(FLOW, now[0])
        return kinds(letters)[1:]

    answer(watch, "running", 1, "IN_PROGRESS")
    assert look(100) == []
    answer(watch, "failed", 2, "FAILED")
    assert look(0) == []  # it may be seen to go on at once
    assert look(2) == ["RESUME"]
    assert look(2) == ["RESUME"]
    assert look(20) == ["RESUME"] * 2
    answer(watch, "completed", 3, "COMPLETED")
    assert one.open() == []
    answer(watch, "failed", 2, "FAILED")  # a repeat
    assert one.open() == []


async def test_one_that_is_to_stay_cancelled_is_not_resumed(now: list[float]) -> None:
    del now
    watch, left = Watch("", "", 4), replace(FLOW, left=True)
    answer(watch, "cancelled", 1, "CANCELLED")
    client = cast("Client", Letters())
    assert Asker([left], client, watch).open() == []
    assert Asker([FLOW], client, watch).open() == [FLOW]


async def test_a_start_that_nobody_answers_is_sent_again(now: list[float]) -> None:
    watch, letters = Watch("", "", 4), Letters()
    one = Asker([FLOW], cast("Client", letters), watch)
    await one.run()
    one._see_to(FLOW, now[0] + 10)
    assert kinds(letters) == ["START"]
    answer(watch, "unknown", 1)
    one._see_to(FLOW, now[0] + 21)
    assert kinds(letters) == ["START", "START"]


def test_reports_have_both_forms_and_are_whole() -> None:
    posts = [
        report(FLOW, f"m{n}", random.Random(n), failed=n % 2 == 0)  # noqa: S311
        for n in range(40)
    ]
    bodies = [json.loads(post.value or b"") for post in posts]
    assert {"status" in body for body in bodies} == {True, False}
    assert all(("status" in body) != ("workflow_id" in body) for body in bodies)
    assert [success(body) for body in bodies] == [n % 2 == 1 for n in range(40)]
    for post in posts:
        assert str(TaskCompletion.from_bytes(post.value or b"").task_id) == FLOW.tasks[2]


async def served(flow: Flow, letters: Letters, *message_ids: str) -> list[bool]:
    service = Service(("", "", 1), 1, [flow], cast("Client", letters))
    for number, name in enumerate(message_ids):
        service._take(
            Message(
                topic=wire.TASK_EVENTS, partition=0, offset=number, ms=0, key=None,
                value=json.dumps({"task_id": flow.tasks[2], "input": {}}).encode(),
                headers={wire.MESSAGE_ID: name.encode()},
            )
        )  # fmt: skip
    await asyncio.gather(*service._working)
    marks = {post.mark: success(json.loads(post.value or b"")) for post in letters.posts}
    return [marks[f"{flow.mark}-report-{name}"] for name in dict.fromkeys(message_ids)]


async def test_the_service_does_each_order_once_and_fails_the_first_time_if_asked_to() -> None:
    letters = Letters()
    assert await served(replace(FLOW, fails=False), letters, "a", "a") == [True]
    assert len({post.mark for post in letters.posts}) == 1
    assert await served(replace(FLOW, fails=True), Letters(), "a", "a", "b") == [False, True]


async def test_the_service_reports_until_kafka_has_it() -> None:
    letters = Letters(refused=2)
    assert await served(replace(FLOW, fails=True), letters, "a") == [False]
    assert len(letters.posts) == 3


def seen(state: str, workflow: str | None) -> Seen:
    return Seen(device="mri-1", request="r-1", state=state, ms=0, workflow=workflow)


def test_a_scan_whose_workflow_was_cancelled_after_it_is_waited_for_no_more() -> None:
    watch = Watch("", "", 4)
    assert not ended(seen("ACQUIRED", FLOW.id), watch)
    watch.flows[FLOW.id] = Answer(status="cancelled", tasks=(), offset=0)
    assert ended(seen("ACQUIRED", FLOW.id), watch)
    assert not ended(seen("ACQUIRED", None), watch)
    assert not ended(seen("RUNNING", FLOW.id), watch)
    assert ended(seen("FAILED", None), watch)


@pytest.mark.parametrize("flows", [lambda: (), lambda: (FLOW,)])
async def test_a_workflow_without_an_end_is_waited_for_and_told(
    tmp_path: Path, flows: Callable[[], tuple[Any, ...]]
) -> None:
    _, left = await settle(tmp_path, Watch("", "", 4), flows, quiet_s=0, most_s=0)
    assert ("1 workflows without an end" in left) == bool(flows())
