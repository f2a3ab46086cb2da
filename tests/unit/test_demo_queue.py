"""The pure parts of the queue's demo: what is told, what is checked, and who answers."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.events import EventFile, EventKind, ScanEvent, ScanState
from sandbox.demo.scan import Scan
from sandbox.demo_queue.person import Answer, ask
from sandbox.demo_queue.plan import (
    ENDS,
    FIRST,
    FOURTH,
    ORDER,
    PLAN,
    PRIORITY,
    SECOND,
    THIRD,
    URGENT,
    job_of,
)
from sandbox.demo_queue.proof import Facts, Start, problems, read_starts, summary
from sandbox.demo_queue.telling import tell

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
S = ScanState


def event(
    kind: EventKind = EventKind.STATE_CHANGED, seconds: float = 0, **fields: Any
) -> ScanEvent:
    at = NOON + timedelta(seconds=seconds)
    return ScanEvent(**{"event_id": f"{kind}/{at}/{fields}", "event": kind, "at": at} | fields)


def file(name: str) -> EventFile:
    return EventFile(location=f"records/3/{name}", size=1, sha256="0" * 64)


def scan(name: str, end: ScanState | None, acquired_s: float | None = None) -> Scan:
    found = Scan(PLAN[name])
    if acquired_s is not None:
        found.take(event(seconds=acquired_s, state=S.ACQUIRED))
    if end is not None:
        found.take(event(seconds=100, state=end))
    return found


def as_promised() -> Facts:
    """Each scan takes ten seconds, and the next one is started a second later."""
    scans = {name: scan(name, end) for name, end in ENDS.items()}
    starts = []
    for number, name in enumerate(ORDER):
        scans[name] = scan(name, ENDS[name], 11 * number + 10)
        starts.append(Start(request_id=name, at=NOON + timedelta(seconds=11 * number)))
    outages = [event(manager="exam manager", state=s) for s in (S.WAITING, S.ACCEPTED)]
    return Facts(scans=scans, starts=starts, outages=outages)


def test_only_the_urgent_job_is_urgent() -> None:
    assert {name: job_of(name).priority for name in ENDS} == dict.fromkeys(ENDS, 0) | {
        URGENT: PRIORITY
    }


def test_all_is_as_promised() -> None:
    facts = as_promised()
    assert problems(facts) == []
    assert summary(facts, [], 50, Path("logs")) == (
        "demo-queue: 4 completed, 1 cancelled, 0 lost, 0 started twice, never two scans at once;"
        " checked: order and times of 4 STARTs in the scanner's own log, 50 events,"
        " one outage told once"
    )


def test_a_lost_job_is_found() -> None:
    facts = as_promised()
    facts = replace(facts, scans={**facts.scans, FOURTH: scan(FOURTH, S.READY)})
    wrong = problems(facts)
    assert wrong == [f"{FOURTH} has no end: it is READY"]
    assert "3 completed, 1 cancelled, 1 lost, " in summary(facts, wrong, 50, Path("logs"))
    assert "not as promised, see logs" in summary(facts, wrong, 50, Path("logs"))


def test_another_end_is_found() -> None:
    facts = as_promised()
    facts = replace(facts, scans={**facts.scans, THIRD: scan(THIRD, S.COMPLETED)})
    assert problems(facts) == [f"{THIRD} is COMPLETED, not CANCELLED: no cause"]


def test_a_second_start_is_found_unless_a_person_asked_for_it() -> None:
    facts = as_promised()
    again = Start(request_id=SECOND, at=facts.starts[2].at + timedelta(seconds=5))
    facts = replace(facts, starts=sorted([*facts.starts, again], key=lambda start: start.at))
    assert problems(facts) == [f"{SECOND} was started twice"]
    asked = replace(facts, sent_again=frozenset({SECOND}))
    assert problems(asked) == []
    assert f"0 started twice by itself ({SECOND} once more, on a person's word)" in summary(
        asked, [], 50, Path("logs")
    )


@pytest.mark.parametrize("acquired_s", [12.5, None])
def test_two_scans_at_once_are_found(acquired_s: float | None) -> None:
    facts = as_promised()
    facts = replace(facts, scans={**facts.scans, FIRST: scan(FIRST, None, acquired_s)})
    assert f"{URGENT} was started while {FIRST} was measured" in problems(facts)
    assert "1 times two scans at once" in summary(facts, [], 50, Path("logs"))


def test_a_wrong_order_is_found() -> None:
    facts = as_promised()
    first, urgent, *rest = facts.starts
    swapped = [replace(first, request_id=URGENT), replace(urgent, request_id=FIRST), *rest]
    assert any(
        "the scanner took urgent, job-1" in one for one in problems(replace(facts, starts=swapped))
    )


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ((), "nothing"),
        ((S.WAITING,), "WAITING"),
        ((S.WAITING, S.WAITING, S.ACCEPTED), "WAITING, WA"),
    ],
)
def test_an_outage_is_told_once(states: tuple[ScanState, ...], told: str) -> None:
    outages = [
        event(manager="exam manager", state=state, seconds=n) for n, state in enumerate(states)
    ]
    (problem,) = problems(replace(as_promised(), outages=outages))
    assert problem.startswith(f"of managers was announced: {told}")


def test_the_scanners_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "starts.log"
    assert read_starts(log) == []
    log.write_text(json.dumps({"request_id": "urgent", "wall": NOON.timestamp()}) + "\n")
    assert read_starts(log) == [Start(request_id="urgent", at=NOON)]


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (
            event(state=S.QUEUED, count=2, cause="its device is busy"),
            "12:00:00  job-1                 QUEUED, place 2: its device is busy",
        ),
        (
            event(EventKind.PROGRESS, state=S.QUEUED, count=1),
            "12:00:00  job-1                 QUEUED, now at place 1",
        ),
        (
            event(EventKind.PROGRESS, percent=50, record_id=3),
            "12:00:00  job-1, record 3       50 %",
        ),
        (
            event(state=S.UNKNOWN, record_id=3, cause="no answer", advice="Look at the scanner."),
            "12:00:00  job-1, record 3       UNKNOWN: no answer. Look at the scanner.",
        ),
        (
            event(EventKind.RETRYING, cause="refused", state=S.READY),
            "12:00:00  job-1                 waits and tries again: refused",
        ),
        (
            event(EventKind.RESULT_REGISTERED, record_id=3, files=(file("raw.npy"),)),
            "12:00:00  job-1, record 3       raw data checked and kept",
        ),
        (
            event(EventKind.RESULT_REGISTERED, record_id=3, files=(file("image.dcm"),)),
            "12:00:00  job-1, record 3       image checked and kept",
        ),
        (event(EventKind.CONFLICT, cause="two"), "12:00:00  job-1                 conflict: two"),
        (
            event(manager="exam manager", state=S.WAITING, count=1, cause="it is away"),
            "12:00:00  exam manager          it is away (1 job waits)",
        ),
        (
            event(manager="exam manager", state=S.ACCEPTED),
            "12:00:00  exam manager          answers again",
        ),
    ],
)
def test_an_event_is_a_line(told: ScanEvent, line: str) -> None:
    assert tell(told, "job-1") == line


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Give both ends of a terminal: where a person types, and where the demo reads."""
    ends = os.openpty()
    yield ends
    for end in ends:
        os.close(end)


async def test_a_person_answers(terminal: tuple[int, int]) -> None:
    person, program = terminal
    said: list[str] = []
    os.write(person, b"perhaps\nn\n")
    answer = await ask(said.append, "Was it?", terminal=program, default=True, limit_s=20)
    assert answer == Answer(yes=False, by_person=True)
    assert said == ["Was it? [y/n] (after 20 s the demo answers y)", "Please answer y or n."]


async def test_nobody_answers_in_time(terminal: tuple[int, int]) -> None:
    said: list[str] = []
    answer = await ask(said.append, "Was it?", terminal=terminal[1], default=True, limit_s=0.05)
    assert answer == Answer(yes=True, by_person=False)
    assert said[-1] == "No answer: the demo answers y."


async def test_without_a_terminal_nobody_is_asked() -> None:
    said: list[str] = []
    answer = await ask(said.append, "Was it?", terminal=None, default=False, limit_s=20)
    assert answer == Answer(yes=False, by_person=False)
    assert said == ["Was it? Nobody is asked, as this is no terminal: the demo answers n."]
