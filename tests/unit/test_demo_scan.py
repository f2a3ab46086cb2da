from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.events import EventFile, EventKind, ScanEvent, ScanState
from models.scan import ScanJob
from sandbox.demo.plan import MATRICES, make_plan
from sandbox.demo.scan import Scan

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


def event(n: int, state: ScanState | None = None, seconds: float = 0, **fields: Any) -> ScanEvent:
    kind = EventKind.PROGRESS if state is None else EventKind.STATE_CHANGED
    at = NOON + timedelta(seconds=seconds)
    return ScanEvent(**{"event_id": str(n), "event": kind, "at": at, "state": state} | fields)


def new_scan() -> Scan:
    return Scan(make_plan(1, 1)[0])


def test_a_plan_spreads_jobs_over_devices_with_different_sequences() -> None:
    plan = make_plan(2, 6)
    assert [p.device_id for p in plan] == ["mri-1", "mri-2"] * 3
    assert [p.matrix for p in plan] == list(MATRICES)
    assert len({p.request_id for p in plan}) == len({p.sequence_id for p in plan}) == 6
    for planned in plan:
        job = ScanJob.from_bytes(planned.job.to_bytes())
        assert job.problem() is None
        assert job.sequence_id == planned.sequence["_id"]
        assert f"Matrix {planned.matrix} {planned.matrix}\n" in planned.sequence["file"]


def test_events_build_up_what_is_known() -> None:
    scan = new_scan()
    assert scan.take(event(1, ScanState.ACCEPTED))
    assert scan.take(event(2, ScanState.READY, 1, record_id=7))
    assert scan.take(event(3, percent=50))
    assert scan.take(event(4, percent=25))
    assert (scan.state, scan.record_id, scan.percent) == (ScanState.READY, 7, 50)
    assert not scan.over


def test_a_repeated_event_tells_nothing_new() -> None:
    scan = new_scan()
    assert scan.take(event(1, ScanState.READY))
    assert not scan.take(event(1, ScanState.FAILED))
    assert scan.state is ScanState.READY


def test_registered_files_are_counted_once() -> None:
    scan = new_scan()
    files = (EventFile(location="records/1/a", size=1, sha256="a" * 64),)
    for n in (1, 2):
        scan.take(event(n, event=EventKind.RESULT_REGISTERED, files=files))
    assert len(scan.files) == 1


def test_stages_take_the_first_status_for_a_start_that_was_overtaken() -> None:
    scan = new_scan()
    for n, (state, at) in enumerate([
        (ScanState.ACCEPTED, 0),
        (ScanState.READY, 1),
        (ScanState.RUNNING, 3),
        (ScanState.ACQUIRED, 6),
    ]):  # fmt: skip
        scan.take(event(n, state, at))
    assert scan.stage_seconds() == [1, 2, 3, None]


@pytest.mark.parametrize(
    ("state", "over", "frees"),
    [
        (ScanState.RUNNING, False, False),
        (ScanState.ACQUIRED, False, True),
        (ScanState.HELD, True, True),
        (ScanState.UNKNOWN, True, True),
        (ScanState.FAILED, True, True),
        (ScanState.COMPLETED, True, True),
    ],
)
def test_when_a_scanner_is_free(state: ScanState, *, over: bool, frees: bool) -> None:
    scan = new_scan()
    scan.take(event(1, state))
    assert (scan.over, scan.frees_device) == (over, frees)
