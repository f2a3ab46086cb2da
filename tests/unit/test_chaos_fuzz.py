"""The fuzz run: its messages repeat, and its book closes no entry without a trace."""

import json
from typing import Any

import pytest

from models import wire
from models.base import canonical
from sandbox.chaos.checker import check
from sandbox.chaos.facts import Message
from sandbox.chaos.fuzz.inputs import Input, make_inputs
from sandbox.chaos.fuzz.ledger import Ledger, Sent
from sandbox.chaos.fuzz.outcome import Fuzzed
from sandbox.chaos.fuzz.strategies import INPUTS
from sandbox.chaos.history import History
from sandbox.chaos.traffic import MARK

SHA = "a" * 64
UPLOAD = {"record_id": 7, "upload_id": "u", "location": "x", "size": 1, "sha256": SHA}
JOB = {"id": 1, "sequence_id": "s", "device_id": "mri-1"}
COMMAND = {"command_id": "c", "command": "STOP", "device_id": "mri-1"}
WHOLE: dict[str, dict[str, Any]] = {
    wire.SCAN_JOBS: JOB,
    wire.SCAN_COMMANDS: COMMAND,
    wire.SCAN_STATUS: {"record_id": "7", "status_percent": 5},
    wire.RESULT_UPLOADS: UPLOAD,
    wire.RESULT_REQUESTS: {"request_id": "q", "record_id": 7},
    wire.RECORD_STEPS: {"kind": "due", "record_id": 7},
}


def sent(topic: str, value: Any, number: int = 0, **headers: bytes) -> Sent:
    raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    named = tuple((name.replace("_", "-"), text) for name, text in headers.items())
    what = Input(
        number=number, topic=topic, partition=2, key=b"k", value=raw,
        headers=((MARK, f"fuzz-{number:05d}".encode()), *named),
    )  # fmt: skip
    return Sent(what=what, offset=40 + number, ms=1000)


def seen(topic: str, value: Any, key: bytes = b"", **headers: bytes) -> Message:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Message(
        topic=topic, partition=0, offset=0, ms=0, key=key, value=raw, headers=headers
    )  # fmt: skip


def letter(one: Sent, cause: str = "invalid") -> Message:
    headers = {
        MARK: one.what.mark.encode(),
        wire.DEAD_TOPIC: one.what.topic.encode(),
        wire.DEAD_CAUSE: cause.encode(),
    }
    return Message(
        topic=wire.DEAD_LETTERS, partition=0, offset=0, ms=0, key=None, value=one.what.value,
        headers=headers,
    )  # fmt: skip


def event(event_id: str, **fields: Any) -> Message:
    return seen(wire.SCAN_EVENTS, {"event_id": event_id, "event": "LATE", **fields})


def book(*several: Sent) -> Ledger:
    ledger = Ledger()
    for one in several:
        ledger.expect(one)
    return ledger


def test_a_seed_gives_the_same_messages_each_time_and_another_seed_others() -> None:
    first = list(make_inputs(3, 60, ["mri-1"], 4))
    assert first == list(make_inputs(3, 60, ["mri-1"], 4))
    assert first != list(make_inputs(4, 60, ["mri-1"], 4))
    assert [one.number for one in first] == list(range(60))
    assert (
        len({(one.topic, one.partition, one.key, one.value, one.headers[1:]) for one in first})
        == 60
    )
    assert all(dict(one.headers)[MARK] == one.mark.encode() for one in first)


def test_every_input_topic_and_every_kind_of_value_is_drawn() -> None:
    found = list(make_inputs(1, 800, ["mri-1"], 4))
    assert {one.topic for one in found} == set(INPUTS)
    assert {one.partition for one in found} == set(range(4))
    assert any(one.value is None for one in found)
    assert any(one.value is None and one.key is None for one in found)
    traces = [book(one) for one in (Sent(what=x, offset=1, ms=1) for x in found)]
    whole = [next(iter(ledger.open.values()))[1] for ledger in traces]
    assert any(one.job for one in whole)
    assert any(one.answer for one in whole)
    assert any(one.upload for one in whole)
    assert any(one.nothing for one in whole)


@pytest.mark.parametrize("topic", INPUTS)
@pytest.mark.parametrize("value", [None, b"\xff", b"{", {"x": 1}])
def test_what_is_at_fault_is_closed_by_its_own_dead_letter_alone(topic: str, value: Any) -> None:
    one, other = sent(topic, value), sent(topic, value, 1)
    ledger = book(one)
    ledger.take(letter(other))
    assert ledger.sweep({(topic, 2): 99}) == 1
    ledger.take(letter(one))
    assert ledger.sweep({}) == 0
    assert ledger.ends == {"dead letters": 1}


@pytest.mark.parametrize("topic", WHOLE)
def test_what_is_whole_stays_open_without_a_trace(topic: str) -> None:
    assert book(sent(topic, WHOLE[topic])).sweep({}) == 1


def test_a_job_is_closed_by_its_end_not_by_its_acceptance() -> None:
    one = sent(wire.SCAN_JOBS, JOB, request_id=b"r-1")
    ledger = book(one)
    told = {"event": "STATE_CHANGED", "device_id": "mri-1", "request_id": "r-1"}
    ledger.take(event("1", **told, state="ACCEPTED"))
    assert ledger.sweep({}) == 1
    ledger.take(event("2", **{**told, "device_id": "mri-2"}, state="FAILED"))
    assert ledger.sweep({}) == 1
    ledger.take(event("3", **told, state="FAILED"))
    assert ledger.sweep({}) == 0


def test_a_job_without_a_name_is_known_by_its_place_and_time() -> None:
    one = sent(wire.SCAN_JOBS, JOB)
    ledger = book(one)
    request = wire.make_id("scan-jobs-2-40", "origin", 1000)
    ledger.take(
        event("1", event="STATE_CHANGED", device_id="mri-1", request_id=request, state="HELD")
    )
    assert ledger.sweep({}) == 0


def test_a_status_and_a_command_are_closed_by_their_events() -> None:
    status, command = (
        sent(wire.SCAN_STATUS, WHOLE[wire.SCAN_STATUS]),
        sent(wire.SCAN_COMMANDS, COMMAND, 1),
    )
    ledger = book(status, command)
    ledger.take(event(wire.make_id(canonical(7), "PROGRESS", "scan-status-2-41")))
    assert ledger.sweep({}) == 2
    ledger.take(event(wire.make_id(canonical(7), "PROGRESS", status.here)))
    ledger.take(event("2", event="COMMAND_ANSWERED", command_id="d"))
    assert ledger.sweep({}) == 1
    ledger.take(event("3", event="COMMAND_ANSWERED", command_id="c"))
    assert ledger.sweep({}) == 0


def test_devices_that_commands_may_have_put_on_hold_are_known() -> None:
    hold = {"command_id": "c", "command": "HOLD", "device_id": "mri-2"}
    ledger = book(sent(wire.SCAN_COMMANDS, hold), sent(wire.SCAN_COMMANDS, COMMAND, 1))
    assert ledger.held == {"mri-2"}


def test_each_request_needs_an_answer_of_its_own() -> None:
    same = WHOLE[wire.RESULT_REQUESTS]
    ledger = book(sent(wire.RESULT_REQUESTS, same), sent(wire.RESULT_REQUESTS, same, 1))
    ledger.take(seen(wire.RESULT_CHUNKS, {}, b"q", part=b"metadata"))
    ledger.take(seen(wire.RESULT_CHUNKS, {}, b"q", part=b"end"))
    assert ledger.sweep({}) == 1
    ledger.take(seen(wire.RESULT_CHUNKS, {}, b"q", part=b"end"))
    assert ledger.sweep({}) == 0


def test_an_upload_that_another_one_stands_for_is_closed_with_that() -> None:
    one, again = sent(wire.RESULT_UPLOADS, UPLOAD), sent(wire.RESULT_UPLOADS, UPLOAD, 1)
    ledger = book(one, again)
    ledger.take(letter(one, "file-refused"))
    assert ledger.sweep({}) == 0
    assert ledger.ends == {"dead letters": 1, "uploads refused as another": 1}


def test_a_step_counts_once_it_is_acknowledged() -> None:
    one = sent(wire.RECORD_STEPS, WHOLE[wire.RECORD_STEPS])
    ledger = book(one)
    assert ledger.sweep({(wire.RECORD_STEPS, 2): one.offset}) == 1
    assert ledger.sweep({(wire.RECORD_STEPS, 2): one.offset + 1}) == 0


def test_a_device_task_of_a_known_job_is_stale_and_of_an_unknown_one_a_dead_letter() -> None:
    stale = sent(wire.DEVICE_TASKS, {}, request_id=b"r-1")
    unknown = sent(wire.DEVICE_TASKS, {}, 1, request_id=b"r-2")
    ledger = book(stale, unknown)
    told = {"device_id": "k", "request_id": "r-1", "state": "FAILED"}
    ledger.take(event("1", event="STATE_CHANGED", **told))
    assert ledger.sweep({}) == 2
    assert ledger.sweep({(wire.DEVICE_TASKS, 2): 99}) == 1
    assert list(ledger.open) == ["fuzz-00001"]
    assert ledger.ends == {"stale device tasks": 1}


def test_a_bug_is_told_with_its_message_and_counted_once() -> None:
    one = sent(wire.SCAN_STATUS, {"x": 1})
    ledger = book(one)
    ledger.take(letter(one, "internal"))
    ledger.take(letter(one, "internal"))
    assert len(ledger.internal) == 1
    assert "fuzz-00000" in ledger.internal[0]
    assert ledger.causes == {"internal": 1}


def test_each_problem_of_a_fuzz_run_is_a_violation() -> None:
    outcome = Fuzzed(count=2, seconds=1, ends={}, causes={}, problems=["a", "b"])
    found = [
        one for one in check(History(seed=1, partitions=4, fuzzed=outcome)) if one.rule == "fuzz"
    ]
    assert [one.sentence for one in found] == ["a", "b"]
