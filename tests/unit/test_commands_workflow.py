"""`workflow`: what an answer means for whoever asked, and what people and programs see of it."""

import json
from collections import deque
from typing import Any, cast

import click
import pytest

from commands import workflow as command
from commands.base import CommandError, Exit
from commands.kafka import Kafka, Message
from commands.workflow import Talk, check_id, kind_of
from commands.workflow_answers import (
    AT_WORK,
    advice,
    changes,
    code_of,
    end_code,
    ended,
    fact_rows,
    facts,
    line,
    may_be_older,
    task_rows,
)
from models import wire
from models.workflow import WorkflowRequest, WorkflowRequestKind, WorkflowResponse

K = WorkflowRequestKind
KEY = "6f1f9a52-0d8c-4a58-9c11-6f2f7f0a1c55"
WAITS = "it waits: the exam manager does not answer"


def answer(status: str = "running", *states: str, **fields: Any) -> WorkflowResponse:
    tasks = [
        {
            "id": f"task-{number}",
            "type": "DEVICE_TASK",
            "status": state,
            "destinations": {"device": "mri-1"},
            "args": {"acquisition_limits": "patient_weight 74.5"},
            "description": "for patient A",
        }
        for number, state in enumerate(states, start=1)
    ]
    return WorkflowResponse(workflow_id=KEY, status=status, **{"tasks": tasks, **fields})


@pytest.mark.parametrize(
    ("kind", "status", "reasons", "code"),
    [
        (K.STATUS, "failed", [], Exit.GOOD),
        (K.STATUS, "unknown", [], Exit.MISSING),
        (K.START, "running", [], Exit.GOOD),
        (K.START, "running", [WAITS], Exit.GOOD),
        (K.START, "completed", [], Exit.GOOD),
        (K.START, "failed", ["the workflow is empty"], Exit.ERROR),
        (K.START, "unknown", [], Exit.MISSING),
        (K.RESUME, "running", [], Exit.GOOD),
        (K.RESUME, "failed", [WAITS], Exit.GOOD),
        (K.RESUME, "cancelled", [], Exit.ERROR),
        (K.CANCEL, "cancelled", [], Exit.GOOD),
        (K.CANCEL, "completed", [], Exit.ERROR),
        (K.CANCEL, "running", [], Exit.ERROR),
    ],
)
def test_the_exit_code_says_whether_it_was_done(
    kind: WorkflowRequestKind, status: str, reasons: list[str], code: Exit
) -> None:
    assert code_of(kind, answer(status, reasons=reasons)) is code


def test_the_end_of_one_that_is_followed_has_its_code() -> None:
    assert not ended(answer("running"))
    assert not ended(answer("failed", reasons=[WAITS]))
    assert all(ended(answer(s)) for s in ("completed", "failed", "cancelled", "unknown"))
    assert end_code(K.STATUS, answer("completed")) is Exit.GOOD
    assert end_code(K.START, answer("failed")) is Exit.ENDED
    assert end_code(K.RESUME, answer("cancelled")) is Exit.ENDED
    assert end_code(K.CANCEL, answer("cancelled")) is Exit.GOOD
    assert end_code(K.STATUS, answer("unknown")) is Exit.MISSING


def test_news_from_before_the_request_are_no_answer_to_it() -> None:
    assert may_be_older(K.CANCEL, answer("running"))
    assert not may_be_older(K.CANCEL, answer("completed"))
    assert may_be_older(K.RESUME, answer("cancelled"))
    assert not may_be_older(K.RESUME, answer("failed", reasons=[WAITS]))
    assert not may_be_older(K.START, answer("failed"))
    assert not may_be_older(K.STATUS, answer("running"))


def test_whoever_cancels_is_told_that_a_scan_under_way_may_go_on() -> None:
    assert advice(K.CANCEL, answer("cancelled", "IN_PROGRESS")) == AT_WORK
    assert advice(K.CANCEL, answer("cancelled", "CANCELLED")) is None
    assert advice(K.CANCEL, answer("completed", "COMPLETED")) is None
    assert advice(K.STATUS, answer("cancelled", "IN_PROGRESS")) is None


def test_one_thing_is_asked_at_once_and_only_of_an_id() -> None:
    assert kind_of(start=False, resume=False, cancel=False) is K.STATUS
    assert kind_of(start=False, resume=True, cancel=False) is K.RESUME
    with pytest.raises(click.UsageError):
        kind_of(start=True, resume=False, cancel=True)
    assert check_id(None, None, KEY.upper()) == KEY
    with pytest.raises(click.BadParameter):
        check_id(None, None, "../x")


def test_no_args_are_shown_whoever_wrote_the_answer() -> None:
    one = answer("running", "IN_PROGRESS", reasons=["why"], notes=["look"])
    shown = str([fact_rows(KEY, one), task_rows(one), facts(KEY, one), changes(answer(), one)])
    assert "patient" not in shown
    assert facts(KEY, one)["tasks"] == [
        {
            "id": "task-1",
            "type": "DEVICE_TASK",
            "status": "IN_PROGRESS",
            "destinations": {"device": "mri-1"},
        }
    ]
    json.dumps(facts(KEY, one))


def test_a_task_of_another_shape_is_shown_without_what_is_not_understood() -> None:
    strange = answer(tasks=[{"status": {"PENDING": "x"}, "destinations": ["y"], "attempt": True}])
    assert task_rows(strange) == [("1", "", "", "", "", "", "", "")]
    assert facts(KEY, strange)["tasks"] == [{"destinations": {}}]


def test_a_task_is_a_line_with_its_attempt_record_and_cause() -> None:
    told = {"attempt": 2, "record_id": 42, "cause": "its scan is FAILED"}
    task = {"id": "t", "type": "DEVICE_TASK", "status": "FAILED", **told}
    [row] = task_rows(answer(tasks=[{**task, "destinations": {"device": "mri-1"}}]))
    assert line(row) == (
        "1  FAILED       DEVICE_TASK  mri-1  t  attempt 2  record 42: its scan is FAILED"
    )


def test_only_what_changed_is_told() -> None:
    before = answer("running", "COMPLETED", "IN_PROGRESS", notes=["old"])
    after = answer("failed", "COMPLETED", "FAILED", notes=["old", "new"], reasons=["task 2"])
    told = [text[10:] for text in changes(before, after)]
    assert [text[:18] for text in told] == ["task 2  FAILED    ", "note: new", "workflow failed: t"]
    assert changes(after, after) == []


class Line:
    """A broker that answers each question with what was laid ready for it."""

    def __init__(self, *answers: list[WorkflowResponse]) -> None:
        self.limit_s = 0.2
        self.asked: list[WorkflowRequestKind] = []
        self._ready = deque(answers)
        self._out: list[Message] = []
        self._sent = 0

    async def partitions(self, _: str) -> int:
        return 8

    async def follow(self, topics: dict[str, int | None]) -> None:
        assert self.asked == []  # else an answer could be missed
        assert list(topics) == [wire.WORKFLOW_RESPONSES]

    async def post(
        self, topic: str, key: bytes, value: bytes, headers: Any, *, unsure: str
    ) -> None:
        assert (topic, key.decode()) == (wire.WORKFLOW_REQUESTS, KEY)
        assert headers
        assert unsure
        self.asked.append(WorkflowRequest.from_bytes(value).type)
        for one in self._ready.popleft() if self._ready else []:
            self._sent += 1
            self.say(one, message_id=str(self._sent))

    def say(self, one: WorkflowResponse, *, message_id: str, key: str = KEY) -> None:
        headers = {wire.MESSAGE_ID: message_id}
        value = one.to_bytes()
        topic = wire.WORKFLOW_RESPONSES
        self._out.append(Message(topic=topic, key=key, value=value, headers=headers))

    async def take(self, _: float) -> list[Message]:
        out, self._out = self._out, []
        return out


def talk(line: Line) -> Talk:
    return Talk(cast(Kafka, line), KEY)


async def test_the_answer_to_a_cancel_is_no_news_from_before() -> None:
    line = Line([answer("running"), answer("running"), answer("cancelled")])
    assert (await talk(line).ask(K.CANCEL)).status == "cancelled"


async def test_a_resume_is_asked_about_once_more_before_it_counts_as_refused() -> None:
    went_on = Line([answer("cancelled"), answer("running")])
    assert (await talk(went_on).ask(K.RESUME)).status == "running"
    refused = Line([answer("failed")], [answer("failed", reasons=["frozen"])])
    assert (await talk(refused).ask(K.RESUME)).reasons == ("frozen",)
    assert refused.asked == [K.RESUME, K.STATUS]


async def test_silence_is_a_time_out_and_in_between_it_is_asked_once_more() -> None:
    line = Line([answer("running")], [], [])
    talking = talk(line)
    await talking.ask(K.START)
    with pytest.raises(CommandError) as failed:
        await talking.more()
    assert failed.value.code is Exit.TIMEOUT
    assert line.asked == [K.START, K.STATUS]
    with pytest.raises(CommandError, match="may still be done"):
        await talk(Line()).ask(K.START)


async def test_what_is_of_others_comes_twice_or_is_none_is_passed_over() -> None:
    line = Line([answer("running")])
    talking = talk(line)
    await talking.ask(K.STATUS)
    line.say(answer("running"), message_id="1")
    line.say(answer("failed"), message_id="2", key="7")
    line.say(WorkflowResponse(workflow_id=7, status="failed"), message_id="3")
    line.say(answer("completed"), message_id="4")
    assert (await talking.more()).status == "completed"


def test_it_is_shown_as_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show = command._shower(KEY, json=False)
    show(None, answer("running", "PENDING", notes=["a\x1b[2Jb"]))
    show(answer("running", "PENDING"), answer("completed", "COMPLETED", notes=["\x1b[2J"]))
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"workflow  {KEY}"
    assert said[3].startswith("task      1  PENDING      DEVICE_TASK  mri-1  task-1")
    assert said[-1].endswith("workflow completed")
    assert "\x1b" not in "".join(said)
