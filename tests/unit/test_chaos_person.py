"""The operator: what is done at random repeats with the seed, and what is a person's to do is right."""

import json
from dataclasses import replace
from typing import Any

import pytest

from models import wire
from models.scan import ScanCommand
from models.scan import ScanCommandKind as K
from sandbox.chaos.acts import NOBODY, PEOPLE, Aim, make_acts, order_of
from sandbox.chaos.facts import Message
from sandbox.chaos.person import Person
from sandbox.chaos.seen import HURRY_S, LOOK_S, MOST_RELEASES, OVERDUE_S, Seen, duty
from sandbox.chaos.traffic import Post, Sender
from sandbox.chaos.watch import Watch

DEVICES = ["mri-1", "mri-2"]
NOW = 1_000_000.0


def seen(state: str, age_s: float = 60, **more: Any) -> Seen:
    ms = int(NOW - age_s * 1000)
    return Seen(device="mri-1", request="r-1", state=state, ms=ms, record=7, attempt=2, **more)


def due(one: Seen, *, taken: bool = False, roll: float = 0.5, hurry: bool = False) -> Any:
    return duty(one, NOW, taken=taken, roll=roll, hurry=hurry)


def test_a_seed_gives_the_same_acts_each_time_and_another_seed_others() -> None:
    first = make_acts(3, 1200, DEVICES)
    assert first == make_acts(3, 1200, DEVICES)
    assert first != make_acts(4, 1200, DEVICES)
    assert {act.command for act in first} == set(K)
    assert {act.aim for act in first} == set(Aim)
    assert {act.by for act in first} == set(PEOPLE)
    assert {act.sender for act in first} == set(Sender)
    assert any(act.again_s is not None for act in first)


def test_a_hold_of_a_device_ends_in_time_and_is_sent_by_one_producer() -> None:
    holds = [act for act in make_acts(3, 1200, DEVICES) if act.aim is Aim.DEVICE]
    assert holds
    assert all(act.command is K.HOLD and act.lasting > 2 for act in holds)
    assert all(act.t + act.lasting <= 1200 for act in holds)
    assert {act.sender for act in holds} == {Sender.MURMUR2}


def test_every_command_is_a_whole_one_and_its_confirms_are_of_no_attempt() -> None:
    scans = [
        Seen(device="mri-2", request=f"r-{state}", state=state, ms=n, record=n)
        for n, state in enumerate(("QUEUED", "RUNNING", "UNKNOWN", "COMPLETED"))
    ]
    for act in make_acts(3, 1200, DEVICES):
        command = ScanCommand.from_bytes(json.dumps(order_of(act, "cmd-1", scans)).encode())
        assert command.command is act.command
        if command.command is K.CONFIRM:
            assert command.attempt == 99
        named = {command.scan_request_id, command.record_id} - {None}
        assert len(named) == (0 if act.aim is Aim.DEVICE else 1)


@pytest.mark.parametrize(
    ("aim", "hit"),
    [(Aim.WAITING, "r-1"), (Aim.BEGUN, "r-2"), (Aim.ENDED, "r-3"), (Aim.NEWEST, "r-2"),
     (Aim.UNKNOWN, "r-2"), (Aim.NOBODY, NOBODY)],
)  # fmt: skip
def test_a_command_is_for_whom_it_is_aimed_at_else_for_the_newest(aim: Aim, hit: str) -> None:
    scans = [
        Seen(device="mri-2", request="r-1", state="QUEUED", ms=5),
        Seen(device="mri-1", request="r-2", state="RUNNING", ms=9),
        Seen(device="mri-1", request="r-3", state="FAILED", ms=7),
    ]
    act = replace(make_acts(3, 1200, DEVICES)[0], aim=aim, by_record=False, device="mri-9")
    body = order_of(act, "cmd-1", scans)
    assert body["scan_request_id"] == hit
    assert body["device_id"] == {"r-1": "mri-2", NOBODY: "mri-9"}.get(hit, "mri-1")


@pytest.mark.parametrize("taken", [True, False])
def test_an_unknown_scan_is_confirmed_by_the_scanner_s_own_log(taken: bool) -> None:
    assert due(seen("UNKNOWN", LOOK_S - 1), taken=taken) == {}
    assert due(seen("UNKNOWN"), taken=taken) == {
        "command": K.CONFIRM, "started": taken, "attempt": 2,
    }  # fmt: skip


def test_a_silent_scan_is_cancelled_unless_it_was_heard_of_again() -> None:
    late = int(NOW - OVERDUE_S * 1000)
    assert due(seen("RUNNING")) == {}
    assert due(seen("RUNNING", overdue_ms=late)) == {"command": K.CANCEL}
    assert due(seen("RUNNING", overdue_ms=late + 500)) == {}
    assert due(seen("RUNNING", overdue_ms=late, heard_ms=late + 1)) == {}


def test_a_reconstruction_that_is_overdue_is_cancelled_at_the_end_only() -> None:
    late = seen("RECONSTRUCTING", overdue_ms=int(NOW - HURRY_S * 1000))
    assert due(late) == {}
    assert due(late, hurry=True) == {"command": K.CANCEL}


@pytest.mark.parametrize(("roll", "what"), [(0.1, K.CANCEL), (0.35, K.RESUME), (0.9, K.RELEASE)])
def test_a_held_job_is_released_or_cancelled(roll: float, what: K) -> None:
    held = seen("HELD", cause="older than START_MAX_AGE")
    assert due(held, roll=roll) == {"command": what}
    held.releases = MOST_RELEASES
    assert due(held, roll=roll) == {"command": K.CANCEL}
    assert due(seen("HELD", 2, cause="x"), roll=roll) == {}


def test_a_job_that_is_held_with_its_device_is_left_to_that() -> None:
    held = seen("HELD", cause="its device is on hold")
    assert due(held) == {}
    assert due(held, hurry=True) == {"command": K.RELEASE, "device": True}


@pytest.mark.parametrize("state", ["QUEUED", "WAITING", "READY", "COMPLETED", "CANCELLED"])
def test_what_goes_on_by_itself_or_is_over_is_nobody_s_business(state: str) -> None:
    assert due(seen(state, 600, overdue_ms=int(NOW)), hurry=True) == {}


class Letters:
    """A client that keeps what it is given."""

    def __init__(self) -> None:
        self.posts: list[Post] = []

    def send(self, post: Post) -> None:
        self.posts.append(post)


def event(ms: int, **fields: Any) -> Message:
    whole = {"event_id": str(ms), "device_id": "mri-1", "request_id": "r-1", **fields}
    return Message(
        topic=wire.SCAN_EVENTS, partition=0, offset=ms, ms=ms, key=b"r-1",
        value=json.dumps(whole).encode(),
    )  # fmt: skip


def test_the_watch_knows_the_last_change_whatever_the_order_of_partitions() -> None:
    watch = Watch("", "", 4)
    changed = {"event": "STATE_CHANGED"}
    watch.take(event(30, **changed, state="UNKNOWN", record_id=7, attempt=1))
    watch.take(event(10, **changed, state="ACCEPTED"))
    watch.take(event(35, **changed, state="ACCEPTED", event_id="10"))
    watch.take(event(40, event="OVERDUE", state="UNKNOWN"))
    watch.take(event(41, event="STATE_CHANGED", state="WAITING", device_id=None, manager="exam"))
    (one,) = watch.scans.values()
    assert (one.state, one.record, one.attempt, one.overdue) == ("UNKNOWN", 7, 1, True)
    watch.take(event(50, event="PROGRESS", state="UNKNOWN", percent=25))
    assert not one.overdue
    assert watch.states() == ["UNKNOWN"]


def test_the_watch_knows_that_a_held_job_is_held_for_another_reason_now() -> None:
    watch = Watch("", "", 4)
    watch.take(event(30, event="STATE_CHANGED", state="HELD", cause="its device is on hold"))
    watch.take(event(40, event="OVERDUE", state="HELD", cause="older than START_MAX_AGE"))
    (one,) = watch.scans.values()
    assert (one.state, one.cause) == ("HELD", "older than START_MAX_AGE")
    answer = "taken: it is held until a person releases it (asked by Ada)"
    watch.take(event(50, event="COMMAND_ANSWERED", state="HELD", cause=answer))
    roll = 0.5  # with its device it would be left alone
    assert duty(one, 60_000, taken=False, roll=roll, hurry=True) == {"command": K.RELEASE}


async def test_a_person_asks_once_and_again_only_after_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch, letters, now = Watch("", "", 4), Letters(), [100.0]
    monkeypatch.setattr("sandbox.chaos.person.time.monotonic", lambda: now[0])
    person = Person(1, letters, watch, lambda _: {"7"})  # type: ignore[arg-type]
    watch.take(event(30, event="STATE_CHANGED", state="UNKNOWN", record_id=7, attempt=1))
    (one,) = watch.scans.values()
    for _ in range(3):
        person._see_to(one)
        now[0] += 1
    assert len(letters.posts) == 1
    body = json.loads(letters.posts[0].value or b"")
    assert body["started"] is True
    assert letters.posts[0].mark == body["command_id"] == "cmd-00000"
    answer = {"event": "COMMAND_ANSWERED", "command_id": "cmd-00000"}
    watch.take(event(60, **answer))
    person._see_to(one)
    assert len(letters.posts) == 1
    now[0] += 5
    person._see_to(one)
    assert len(letters.posts) == 2
