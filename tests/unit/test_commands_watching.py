"""`watch` in the order in which partitions are read, and on screens of any size."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from commands.pace import Pace
from commands.screen import Screen, share
from commands.watching import MOST_ENDS, MOST_OUTAGES, MOST_SCANS, Watched
from models import wire
from models.events import EventKind, ScanState
from tests.unit.test_commands_queue import NOW, Told, put

S = ScanState
CHANGED = EventKind.STATE_CHANGED


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def told(watched: Watched) -> Told:
    return Told(watched)


def drawn(watched: Watched, width: int, height: int) -> list[str]:
    out = StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=False)
    console.print(Screen(watched, NOW))
    return out.getvalue().splitlines()


# Before and after a record a scan's events have different keys, so no common order.


def test_older_news_of_another_partition_takes_nothing_back(watched: Watched, told: Told) -> None:
    told(CHANGED, 5, state=S.RUNNING, record_id=41)
    told(CHANGED, 0, state=S.ACCEPTED)
    told(EventKind.PROGRESS, 0, state=S.QUEUED, count=2)
    assert [scan.state for scan in watched.running("mri-1")] == [S.RUNNING]


def test_older_news_brings_no_ended_scan_back(watched: Watched, told: Told) -> None:
    told(CHANGED, 5, state=S.COMPLETED, record_id=41)
    told(CHANGED, 0, state=S.WAITING)
    told(CHANGED, 6, state=S.COMPLETED, record_id=41)
    told(EventKind.LATE, 7, state=S.COMPLETED, record_id=41)
    assert not watched.scans
    assert len(watched.ends) == 1


def test_the_last_ends_are_those_that_ended_last(watched: Watched, told: Told) -> None:
    for after in (*range(50, 60), *range(10)):
        told(CHANGED, after, state=S.FAILED, request_id=f"r-{after}")
    assert [scan.request for scan in watched.ends] == [f"r-{n}" for n in range(52, 60)]
    assert len(watched.ends) == MOST_ENDS


@pytest.mark.parametrize("kind", [EventKind.PROGRESS, EventKind.OVERDUE])
def test_a_scan_that_began_before_we_looked_is_seen(
    watched: Watched, told: Told, kind: EventKind
) -> None:
    told(kind, state=S.RUNNING, percent=30, record_id=41)
    assert [scan.record for scan in watched.running("mri-1")] == ["41"]


def test_an_answer_makes_no_scan_and_changes_none(watched: Watched, told: Told) -> None:
    told(EventKind.COMMAND_ANSWERED, state=S.CANCELLED, cause="the scan is CANCELLED")
    assert not watched.scans


def test_one_device_sees_outages_and_its_own_dead_letters(watched: Watched, told: Told) -> None:
    watched.device = "mri-2"
    told(EventKind.RETRYING, state=S.WAITING, device_id=None, request_id=None, manager="exams")
    assert list(watched.outages) == ["exams"]
    headers = {wire.DEAD_TOPIC: wire.SCAN_JOBS, wire.DEAD_CAUSE: "invalid"}
    assert watched.take_letter("mri-1", headers) is None
    assert watched.take_letter("mri-2", headers) is not None
    assert watched.letters == {"invalid": 1}


def test_nobody_can_fill_the_memory(watched: Watched, told: Told) -> None:
    for number in range(MOST_OUTAGES + 5):
        name = f"manager {number}"
        told(EventKind.RETRYING, state=S.WAITING, device_id=None, request_id=None, manager=name)
        watched.take_letter("k", {wire.DEAD_CAUSE: f"cause {number}"})
    assert len(watched.outages) == MOST_OUTAGES
    assert list(watched.letters) == ["other"]
    for number in range(MOST_SCANS + 5):
        told(CHANGED, state=S.FAILED, request_id=f"r-{number}")
    assert len(watched._over) == MOST_SCANS


# How long it still takes.


def reached(*reports: tuple[float, int]) -> Pace:
    pace = Pace()
    pace.begin(NOW)
    for after_s, percent in reports:
        pace.reach(NOW + timedelta(seconds=after_s), percent)
    return pace


@pytest.mark.parametrize(
    ("reports", "at_s", "left_s"),
    [
        ((), 10, None),
        (((60, 25),), 60, 180),
        (((60, 25),), 100, 140),  # it counts down between two reports
        (((60, 25),), 900, 0),
        (((60, 25), (70, 10)), 70, 170),  # older news
        (((60, 25), (120, 75)), 120, 80),  # 160 s in all, not 240: the mean of both counts
        (((60, 25), (100, 100)), 100, 0),
        (((0.1, 20), (60.1, 60)), 60.1, 60),  # it had a percent when it began to run
        (((0.1, 20),), 10, None),
    ],
)
def test_the_time_that_is_left(
    reports: tuple[tuple[float, int], ...], at_s: float, left_s: float | None
) -> None:
    left = reached(*reports).left(NOW + timedelta(seconds=at_s))
    assert left == (None if left_s is None else timedelta(seconds=left_s))


def test_a_pace_is_measured_from_what_was_seen_first() -> None:
    pace = Pace()
    pace.reach(NOW, 50)
    assert pace.left(NOW) is None
    pace.reach(NOW + timedelta(seconds=10), 60)
    assert pace.left(NOW + timedelta(seconds=10)) == timedelta(seconds=40)


def test_an_answered_command_is_no_report(watched: Watched, told: Told) -> None:
    told(CHANGED, state=S.RUNNING, record_id=41)
    told(EventKind.PROGRESS, 60, state=S.RUNNING, percent=50, record_id=41)
    told(EventKind.COMMAND_ANSWERED, 600, cause="no", record_id=41)
    (scan,) = watched.running("mri-1")
    assert scan.pace.left(NOW + timedelta(seconds=70)) == timedelta(seconds=50)


def test_a_scan_that_is_started_again_begins_anew(watched: Watched, told: Told) -> None:
    told(CHANGED, state=S.RUNNING, record_id=41)
    told(EventKind.PROGRESS, 60, state=S.RUNNING, percent=50, record_id=41)
    for state in (S.READY, S.STARTING):
        told(CHANGED, 70, state=state, record_id=41)
    (scan,) = watched.running("mri-1")
    assert scan.pace == Pace()


# The screen.


@pytest.mark.parametrize(
    ("lines", "wanted", "rooms"),
    [
        (40, [3, 2, 4, 5], [3, 2, 4, 5]),
        (12, [9, 9, 9, 9], [1, 1, 1, 1]),
        (14, [9, 9, 9, 9], [2, 2, 1, 1]),
        (14, [0, 1, 9, 1], [0, 1, 6, 1]),
        (5, [9, 9, 9, 9], [3, 0, 0, 0]),
        (2, [9, 9, 9, 9], [0, 0, 0, 0]),
    ],
)
def test_the_lines_are_shared(lines: int, wanted: list[int], rooms: list[int]) -> None:
    assert share(lines, wanted) == rooms


def crowd(watched: Watched, told: Told) -> None:
    """Make a thousand devices, of which 60 work; one is on hold, one is overdue, a manager is away."""
    for number in range(1000):
        state = S.RUNNING if number < 60 else S.COMPLETED
        told(
            CHANGED, state=state, device_id=f"mri-{number:04}", request_id=f"r-{number}",
            record_id=number,
        )  # fmt: skip
    for number in range(30):
        put(watched.work, f"mri-{number:04}", "q1000-1", request_id=f"w-{number}", reason="busy")
    put(watched.work, "mri-0003", "d", by="Ada")
    told(
        EventKind.OVERDUE, state=S.RUNNING, device_id="mri-0001", request_id="r-1", record_id=1,
        cause="no status for 600 s",
    )  # fmt: skip
    told(
        EventKind.RETRYING, state=S.WAITING, device_id=None, request_id=None,
        manager="exam manager", cause="it does not answer",
    )  # fmt: skip


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 60), (60, 12), (30, 6)])
def test_what_needs_a_person_is_on_any_screen(
    watched: Watched, told: Told, width: int, height: int
) -> None:
    crowd(watched, told)
    lines = drawn(watched, width, height)
    assert len(lines) <= height
    assert max(len(one) for one in lines) <= width
    assert any("exam manager" in one for one in lines)
    assert any("OVERDUE" in one or "more" in one for one in lines)


def test_no_number_of_devices_pushes_a_line_off_the_screen(watched: Watched, told: Told) -> None:
    told(CHANGED, state=S.COMPLETED, device_id="idle", request_id="r", record_id=0)
    for number in range(1, 12):
        told(
            CHANGED, state=S.RUNNING, device_id=f"mri-{number}", request_id="r", record_id=number
        )  # fmt: skip
        lines = drawn(watched, 80, 12)
        assert len(lines) <= 12
        assert any("1 idle" in line for line in lines)


def test_what_there_is_no_room_for_is_counted(watched: Watched, told: Told) -> None:
    crowd(watched, told)
    text = "\n".join(drawn(watched, 100, 30))
    assert "ON HOLD by Ada; RUNNING, record 3" in text
    assert "more, 940 idle" in text
    text = "\n".join(drawn(watched, 100, 300))
    assert "and 940 idle" in text
    assert all(f"record {number} " in text for number in range(60))
    assert "w-29" in text


def test_a_request_that_a_person_has_to_type_is_never_cut(watched: Watched) -> None:
    request = "5d8f3c1e-1111-4222-8333-00000000000a"
    put(
        watched.work, "mri-1", "h1000-1", request_id=request, state=S.HELD,
        reason="older than START_MAX_AGE, and a long sentence beside it",
    )  # fmt: skip
    (found,) = [line for line in drawn(watched, 80, 24) if request in line]
    assert "held" in found


def test_several_scans_at_a_device_are_counted(watched: Watched, told: Told) -> None:
    for number in range(3):
        told(CHANGED, state=S.RUNNING, request_id=f"r-{number}", record_id=number)
    assert any("record 0 (and 2 more)" in line for line in drawn(watched, 100, 24))


def test_a_lost_broker_is_told(watched: Watched) -> None:
    assert "Ctrl-C ends" in drawn(watched, 80, 24)[0]
    watched.broker_lost = NOW - timedelta(seconds=7)
    assert "the broker does not answer, for 7 s" in drawn(watched, 80, 24)[0]
