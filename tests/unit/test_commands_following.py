from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from commands.base import Exit
from commands.following import Followed, tell, worst
from models import wire
from models.events import EventFile, EventKind, ScanEvent, ScanState
from models.results import AnswerMetadata, AnswerStatus, ScanFacts
from models.scan import ScanJob

S = ScanState
JOB = ScanJob(job_id=17, sequence_id="a" * 24, device_id="scanner-1")


def _followed() -> Followed:
    return Followed(request_id="r1", job=JOB)


def _event(state: ScanState | None = None, **fields: Any) -> ScanEvent:
    given: dict[str, Any] = {
        "event_id": str(uuid4()),
        "event": EventKind.STATE_CHANGED,
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "request_id": "r1",
        "device_id": "scanner-1",
        "state": state,
    }
    return ScanEvent(**{**given, **fields})


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (S.COMPLETED, Exit.GOOD),
        (S.FAILED, Exit.ENDED),
        (S.CANCELLED, Exit.ENDED),
        (S.UNKNOWN, Exit.UNDECIDED),
        (S.HELD, Exit.UNDECIDED),
        (S.RECONSTRUCTING, None),
        (S.WAITING, None),
    ],
)
def test_a_state_ends_the_waiting_or_does_not(state: ScanState, code: Exit | None) -> None:
    job = _followed()
    assert job.take(_event(state, record_id=5), "5") is not None
    assert job.code is code


def test_exit_codes_are_those_of_the_interface() -> None:
    assert [int(c) for c in (Exit.GOOD, Exit.ENDED, Exit.UNDECIDED, Exit.TIMEOUT)] == [0, 3, 4, 5]
    assert [int(c) for c in (Exit.ERROR, Exit.USAGE, Exit.MISSING, Exit.CORRUPT)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "event",
    [
        _event(S.FAILED, request_id="r2"),
        _event(S.FAILED, device_id="scanner-2"),
        _event(S.FAILED, request_id=None, record_id=5),
        _event(S.WAITING, request_id=None, device_id=None, manager="exam manager"),
    ],
)
def test_events_of_others_are_passed_over(event: ScanEvent) -> None:
    job = _followed()
    assert job.take(event, "x") is None
    assert (job.code, job.state, job.record) == (None, None, None)


def test_the_record_is_followed_once_it_is_known() -> None:
    job = _followed()
    job.take(_event(S.READY, record_id="01878B5E-D925-4068-8D2F-28C3872E8FA6"), "k")
    event = _event(S.COMPLETED, request_id=None, record_id=job.record)
    assert job.take(event, "k") == f"COMPLETED (record {job.record})"
    assert job.code is Exit.GOOD


def test_a_repeated_event_is_told_once() -> None:
    job, event = _followed(), _event(S.READY, record_id=5)
    assert job.take(event, "5") is not None
    assert job.take(event, "5") is None


@pytest.mark.parametrize("old", [_event(S.HELD), _event(S.ACCEPTED), _event(S.READY, record_id=5)])
def test_older_news_takes_nothing_back(old: ScanEvent) -> None:
    job = _followed()
    job.take(_event(S.RUNNING, record_id=5), "5")
    job.take(old, "r1")
    assert (job.state, job.code) == (S.RUNNING, None)


def test_a_final_state_stays() -> None:
    job = _followed()
    job.take(_event(S.CANCELLED, record_id=5), "5")
    job.take(_event(S.COMPLETED, record_id=5), "5")
    assert (job.state, job.code) == (S.CANCELLED, Exit.ENDED)


def test_a_held_job_may_go_on() -> None:
    job = _followed()
    job.take(_event(S.HELD), "r1")
    job.take(_event(S.READY, record_id=5), "5")
    assert job.code is None


def test_late_events_tell_no_state() -> None:
    job = _followed()
    job.take(_event(S.COMPLETED, event=EventKind.LATE, record_id=5), "5")
    assert (job.state, job.code) == (None, None)


def test_a_request_sent_before_is_asked_for() -> None:
    job = _followed()
    job.take(_event(event=EventKind.REPEATED), "5")
    assert (job.record, job.ask_state) == ("5", True)
    scan = ScanFacts(state=S.FAILED, cause="no such sequence")
    answer = AnswerMetadata(
        request_id="q", record_id=5, status=AnswerStatus.OK, scan=scan, chunk_size=1
    )
    assert job.take_answer(answer) == "FAILED: no such sequence"
    assert job.code is Exit.ENDED


def test_a_request_sent_before_that_has_no_record_is_not_asked_for() -> None:
    job = _followed()
    job.take(_event(event=EventKind.REPEATED), "r1")
    assert (job.record, job.ask_state) == (None, False)


def _dead(**changes: str) -> dict[str, str]:
    headers = {
        wire.REQUEST_ID: "r1",
        wire.DEAD_TOPIC: wire.SCAN_JOBS,
        wire.DEAD_CAUSE: "invalid",
        wire.DEAD_MESSAGE: "this request id belongs to another job",
    }
    return {**headers, **changes}


def test_a_dead_letter_ends_the_waiting() -> None:
    job = _followed()
    told = job.take_dead_letter("scanner-1", _dead())
    assert told is not None
    assert "(invalid): this request id belongs to another job" in told
    assert job.code is Exit.ERROR


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        ("scanner-2", _dead()),
        ("scanner-1", _dead(**{wire.REQUEST_ID: "r2"})),
        ("scanner-1", _dead(**{wire.DEAD_TOPIC: wire.DEVICE_TASKS})),
    ],
)
def test_dead_letters_of_others_are_passed_over(key: str, headers: dict[str, str]) -> None:
    job = _followed()
    assert job.take_dead_letter(key, headers) is None
    assert job.code is None


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (_event(S.READY, record_id=5), "READY (record 5)"),
        (_event(S.RUNNING, event=EventKind.PROGRESS, percent=40), "RUNNING 40 %"),
        (_event(S.HELD, cause="too old", advice="Release it."), "HELD: too old. Release it."),
        (_event(event=EventKind.RETRYING, cause="no answer"), "waits and tries again: no answer"),
        (_event(event=EventKind.OVERDUE, cause="a\x1b[2Jb"), "overdue: a?[2Jb"),
        (
            _event(
                event=EventKind.RESULT_REGISTERED,
                files=(EventFile(location="records/5/a", size=1, sha256="0" * 64),),
            ),
            "result registered (1 file)",
        ),
    ],
)
def test_events_are_told_in_words(event: ScanEvent, text: str) -> None:
    assert tell(event) == text


@pytest.mark.parametrize("kind", list(EventKind))
def test_each_kind_of_event_has_words(kind: EventKind) -> None:
    assert tell(_event(event=kind))


def test_the_worst_code_counts() -> None:
    good, failed, open_ = _followed(), _followed(), _followed()
    good.code, failed.code = Exit.GOOD, Exit.ENDED
    assert worst([good]) is Exit.GOOD
    assert worst([good, failed]) is Exit.ENDED
    assert worst([good, failed, open_]) is Exit.TIMEOUT


def test_an_answered_command_says_who_and_takes_no_state_over() -> None:
    job = _followed()
    job.take(_event(S.QUEUED, count=1), "r1")
    answer = _event(
        S.CANCELLED, event=EventKind.COMMAND_ANSWERED, command_id="c",
        cause="taken: cancelled before its start (asked by Ada)",
    )  # fmt: skip
    told = job.take(answer, "r1")
    assert told == "command answered: taken: cancelled before its start (asked by Ada)"
    assert (job.state, job.code) == (S.QUEUED, None)


def test_a_queued_job_has_its_place() -> None:
    assert tell(_event(S.QUEUED, count=3)) == "QUEUED, place 3"
