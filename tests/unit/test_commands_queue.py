"""`queue` and `watch`: what is read from the changelog and from events, and what people see of it."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from commands.base import Exit
from commands.commanding import TAKEN, tell_answer
from commands.queue import age, facts, headline, table
from commands.screen import screen
from commands.watching import MOST_SCANS, Watched
from commands.work import Work
from models import wire
from models.events import EventKind, ScanEvent, ScanState
from models.work import ParkedRow

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
S = ScanState


def put(work: Work, device: str, name: str, **fields: Any) -> None:
    row = ParkedRow(**{"since_ms": NOW_MS - 90_000, **fields})
    work.take(f"{device}\x00{name}".encode(), row.to_bytes())


def some_work() -> Work:
    work = Work()
    put(work, "mri-1", "p1000-1", request_id="r-1", state=S.STARTED, record_id=41, waiting=False)
    put(work, "mri-1", "q0995-3", request_id="r-3", state=S.QUEUED, reason="its device is busy")
    put(work, "mri-1", "q1000-2", request_id="r-2", state=S.QUEUED, job_id=7)
    put(work, "mri-1", "h1000-0", request_id="r-0", state=S.HELD, reason="older than START_MAX_AGE")
    put(work, "mri-2", "d", by="Ada", reason="on hold")
    return work


def test_rows_are_read_and_forgotten_with_their_tombstones() -> None:
    work = some_work()
    assert [entry.row.request_id for entry in work.devices["mri-1"].waiting] == ["r-3", "r-2"]
    assert [entry.priority for entry in work.devices["mri-1"].waiting] == [5, 0]
    work.take(b"mri-2\x00d", None)
    assert "mri-2" not in work.devices
    work.take(b"the-time", None)
    work.take(b"mri-9\x00q1", b"{not json")
    assert list(work.devices) == ["mri-1"]


def test_one_that_holds_the_device_does_not_wait_as_well() -> None:
    work = Work()
    put(work, "d", "p1000-1", request_id="r-1")
    put(work, "d", "q1000-1", request_id="r-1")  # a worker died between the two
    assert len(work.devices["d"].running) == 1
    assert work.devices["d"].waiting == []


def test_a_request_and_a_record_are_found() -> None:
    work = some_work()
    assert [device for device, _ in work.find("r-2")] == ["mri-1"]
    assert [entry.row.request_id for _, entry in work.find("41")] == ["r-1"]
    assert work.find("r-9") == []


def test_the_table_says_what_runs_what_waits_since_when_and_why() -> None:
    rows = table(some_work().devices["mri-1"], NOW_MS)
    assert [row[0] for row in rows] == ["runs", "1", "2", "held"]
    assert rows[0][1:5] == ("STARTED", "", "41", "r-1")
    assert rows[1][5:] == ("90 s", "2026-01-02T11:58:30.000Z", "its device is busy (priority 5)")
    assert rows[3][7] == "older than START_MAX_AGE"


def test_a_hold_says_who_and_how_it_ends() -> None:
    text = headline("mri-2", some_work().devices["mri-2"], NOW_MS)
    assert text == (
        "mri-2: 0 running, 0 waiting; ON HOLD by Ada for 90 s: `release mri-2` lets it go on"
    )


def test_programs_get_the_same() -> None:
    told = facts("mri-1", some_work().devices["mri-1"])
    assert [one["request_id"] for one in told["waiting"]] == ["r-3", "r-2"]
    assert told["running"][0]["since"] == "2026-01-02T11:58:30.000Z"
    assert told["on_hold"] is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d"), (-5, "0 s")],
)
def test_ages_are_short(seconds: int, text: str) -> None:
    assert age(NOW_MS - seconds * 1000, NOW_MS) == text
    assert age(None, NOW_MS) == "?"


@pytest.mark.parametrize(
    ("cause", "code"), [(f"{TAKEN} it goes on", Exit.GOOD), ("no such scan", Exit.ERROR)]
)
def test_the_exit_code_says_whether_it_was_done(
    cause: str, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    event = ScanEvent(event_id="e", event=EventKind.COMMAND_ANSWERED, at=NOW, cause=cause)
    assert tell_answer(event) is code
    assert cause in capsys.readouterr().out


# watch


class Told:
    """Makes events, each with an id of its own."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self._number = 0

    def __call__(self, event: EventKind, after_s: float = 0, **fields: Any) -> str | None:
        self._number += 1
        made = ScanEvent.model_validate(
            {
                "event_id": f"e-{self._number}",
                "event": event,
                "at": NOW + timedelta(seconds=after_s),
                "device_id": "mri-1",
                "request_id": "r-1",
                **fields,
            }
        )
        return self.watched.take_event(made.to_bytes())


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def told(watched: Watched) -> Told:
    return Told(watched)


def drawn(watched: Watched, at: datetime = NOW, width: int = 120) -> str:
    out = StringIO()
    Console(file=out, width=width, force_terminal=False).print(screen(watched, at))
    return out.getvalue()


def test_a_running_scan_has_its_percent_and_the_time_that_is_left(
    watched: Watched, told: Told
) -> None:
    told(EventKind.STATE_CHANGED, state=S.RUNNING, record_id=41)
    told(EventKind.PROGRESS, 60, state=S.RUNNING, percent=25, record_id=41)
    (scan,) = watched.running("mri-1")
    assert scan.pace.left(NOW + timedelta(seconds=60)) == timedelta(seconds=180)
    assert scan.pace.left(NOW + timedelta(seconds=100)) == timedelta(seconds=140)
    assert scan.pace.left(NOW + timedelta(hours=1)) == timedelta(), "never less than nothing"
    text = drawn(watched, NOW + timedelta(seconds=60))
    assert "RUNNING 25 %, record 41" in text
    assert "3:00" in text


def test_what_ended_is_shown_as_ended_and_no_longer_runs(watched: Watched, told: Told) -> None:
    told(EventKind.STATE_CHANGED, state=S.RUNNING, record_id=41)
    told(EventKind.STATE_CHANGED, state=S.FAILED, record_id=41, cause="the device reported FAILED")
    assert watched.running("mri-1") == []
    text = drawn(watched)
    assert "the device reported FAILED" in text
    assert told(EventKind.LATE, state=S.FAILED, record_id=41) is not None
    assert not watched.scans, "what comes late does not bring it back"


def test_repeats_are_dropped(watched: Watched) -> None:
    event = ScanEvent(
        event_id="same", event=EventKind.STATE_CHANGED, at=NOW, state=S.ACCEPTED,
        device_id="d", request_id="r",
    )  # fmt: skip
    assert watched.take_event(event.to_bytes()) is not None
    assert watched.take_event(event.to_bytes()) is None
    assert watched.take_event(b"{") is None


def test_an_outage_is_shown_until_it_is_over(watched: Watched, told: Told) -> None:
    none: dict[str, Any] = {"device_id": None, "request_id": None, "manager": "exam manager"}
    told(EventKind.RETRYING, state=S.WAITING, cause="the exam manager is away", count=3, **none)
    assert "the exam manager is away" in drawn(watched)
    told(EventKind.RETRYING, state=S.ACCEPTED, cause="answers again", **none)
    assert watched.outages == {}
    assert "exam manager" not in drawn(watched)


def test_an_overdue_scan_is_shown_until_something_comes_of_it(watched: Watched, told: Told) -> None:
    told(EventKind.STATE_CHANGED, state=S.RUNNING, record_id=41)
    told(EventKind.OVERDUE, state=S.RUNNING, record_id=41, cause="no status for 600 s")
    assert "no status for 600 s" in drawn(watched)
    told(EventKind.PROGRESS, state=S.RUNNING, record_id=41, percent=50)
    assert "no status" not in drawn(watched)


def test_dead_letters_are_counted_by_cause(watched: Watched) -> None:
    headers = {wire.DEAD_TOPIC: "scan-status", wire.DEAD_CAUSE: "invalid"}
    for _ in range(3):
        assert "scan-status" in (watched.take_letter("mri-1", headers) or "")
    assert "3 invalid" in drawn(watched)


def test_only_one_device_where_asked(told: Told) -> None:
    told.watched.device = "mri-2"
    assert told(EventKind.STATE_CHANGED, state=S.RUNNING) is None
    assert not told.watched.scans


def test_waiting_jobs_and_holds_are_on_the_screen(watched: Watched) -> None:
    watched.work = some_work()
    text = drawn(watched)
    assert "ON HOLD by Ada" in text
    assert "r-3" in text
    assert "its device is busy" in text


def test_a_thousand_devices_fit_and_memory_is_bounded(watched: Watched, told: Told) -> None:
    for number in range(MOST_SCANS + 50):
        told(
            EventKind.STATE_CHANGED,
            state=S.RUNNING,
            device_id=f"mri-{number % 1000}",
            request_id=f"r-{number}",
        )
    assert len(watched.scans) == MOST_SCANS
    text = drawn(watched)
    assert "more" in text
    assert len(text.splitlines()) < 60


def test_nothing_that_somebody_wrote_steers_a_terminal(watched: Watched, told: Told) -> None:
    evil, device = "\x1b[2J\x07evil", "mri\x9b2J"
    told(EventKind.STATE_CHANGED, state=S.RUNNING, device_id=device, cause=evil)
    put(watched.work, device, "q1000-1", request_id=evil, reason=evil)
    watched.take_letter(
        "k", {wire.DEAD_TOPIC: evil, wire.DEAD_CAUSE: evil, wire.DEAD_MESSAGE: evil}
    )
    assert not {"\x1b", "\x07", "\x9b"} & set(drawn(watched))
