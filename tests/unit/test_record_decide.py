"""How far a scan is: only the ways that the table of states allows, and never back from its end."""

from itertools import pairwise, product
from typing import Any

import pytest

from agents import states
from agents.record import decide
from agents.record.state import ScanRow
from agents.tools import Announcement
from models.events import EventKind, ScanState
from models.scan import ScanStatus
from models.steps import RecordStep, RecordStepKind, ScanIdentity

# The interface's table, written down a second time: state, and where it goes.
TABLE = """
ACCEPTED       WAITING HELD QUEUED READY FAILED CANCELLED
WAITING        ACCEPTED READY HELD FAILED CANCELLED
QUEUED         ACCEPTED READY HELD FAILED CANCELLED
HELD           ACCEPTED READY FAILED CANCELLED
READY          STARTING HELD FAILED CANCELLED
STARTING       STARTED UNKNOWN READY FAILED RUNNING ACQUIRED
UNKNOWN        STARTED RUNNING ACQUIRED READY FAILED CANCELLED
STARTED        RUNNING FAILED CANCELLED
RUNNING        ACQUIRED FAILED CANCELLED
ACQUIRED       RECONSTRUCTING FAILED CANCELLED
RECONSTRUCTING COMPLETED FAILED CANCELLED
COMPLETED
FAILED
CANCELLED
"""
ALLOWED = {
    ScanState(first): {ScanState(state) for state in rest}
    for first, *rest in (line.split() for line in TABLE.strip().splitlines())
}
WITHOUT_GATEWAY = {ScanState.RUNNING, ScanState.ACQUIRED}
FINAL = {ScanState.COMPLETED, ScanState.FAILED, ScanState.CANCELLED}
S = ScanState
IDENTITY = ScanIdentity(record_id=41, device_id="d", request_id="r-1", job_id=7)


def allowed(state: ScanState, *, gateway: bool) -> set[ScanState]:
    extra = WITHOUT_GATEWAY if state is S.READY and not gateway else set()
    return ALLOWED[state] | extra


def scan(state: ScanState = S.ACCEPTED, **fields: Any) -> ScanRow:
    return ScanRow(scan=IDENTITY, state=state, **fields)


def step(state: ScanState, attempt: int = 0, **fields: Any) -> RecordStep:
    return RecordStep(
        kind=RecordStepKind.SCAN,
        record_id=41,
        scan=IDENTITY,
        state=state,
        attempt=attempt,
        **fields,
    )


def tell(row: ScanRow, *steps: RecordStep) -> tuple[ScanRow, list[Announcement]]:
    announced: list[Announcement] = []
    for one in steps:
        row, more = decide.told_by_device(row, one, 1, gateway=True)
        announced += more
    return row, announced


def hear(
    row: ScanRow,
    percent: int = 10,
    state: str | None = None,
    *,
    gateway: bool = True,
    text: str = "",
) -> tuple[ScanRow, list[Announcement]]:
    message = ScanStatus.model_validate(
        {"record_id": 41, "status_percent": percent, "state": state, "message": text}
    )
    return decide.status(row, message, "scan-status-0-1", 1, gateway=gateway)


def way(announced: list[Announcement]) -> list[str]:
    return [one.fields["state"] for one in announced if one.event is EventKind.STATE_CHANGED]


def test_the_table_is_the_interfaces_and_no_other() -> None:
    assert {state: set(nexts) for state, nexts in states.TRANSITIONS.items()} == ALLOWED
    assert set(ALLOWED) == set(ScanState)
    assert {state for state in ScanState if state.final} == FINAL


@pytest.mark.parametrize("gateway", [True, False])
@pytest.mark.parametrize("start", ScanState)
def test_a_path_takes_allowed_hops_only_and_is_found_where_there_is_one(
    start: ScanState, *, gateway: bool
) -> None:
    reachable: set[ScanState] = set()
    edge = {start}
    while edge:
        edge = {to for state in edge for to in allowed(state, gateway=gateway)} - reachable
        reachable |= edge
    for goal in ScanState:
        found = states.path(start, goal, gateway=gateway)
        for here, there in pairwise((start, *found)):
            assert there in allowed(here, gateway=gateway)
        if goal is start or goal not in reachable:
            assert found == ()
        else:
            assert found[-1] is goal
            assert start not in found
            assert len(set(found)) == len(found)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_from_a_final_state_there_is_no_way(state: ScanState) -> None:
    assert all(states.path(state, goal) == () for goal in ScanState)
    for goal in ScanState:
        assert decide.move(scan(state), goal, 1) == (scan(state), [])


def test_a_move_tells_every_state_between_and_its_cause_at_the_end_only() -> None:
    row, announced = decide.move(scan(S.READY), S.COMPLETED, 5, cause="c", advice="a")
    hops = ["READY", "STARTING", "ACQUIRED", "RECONSTRUCTING", "COMPLETED"]
    assert way(announced) == hops[1:]
    assert [one.fields["previous"] for one in announced] == hops[:-1]
    assert [one.fields.get("cause") for one in announced] == [None, None, None, "c"]
    assert (row.state, row.cause, row.advice) == (S.COMPLETED, "c", "a")
    assert set(row.times) == {S(hop) for hop in hops[1:]}
    assert len({one.unique for one in announced}) == 4


def test_a_state_keeps_the_time_when_it_was_first_reached() -> None:
    row = scan(S.READY, times={S.HELD: 3})
    row, _ = decide.move(row, S.HELD, 9)
    assert row.times == {S.HELD: 3}


def test_the_first_that_is_heard_makes_the_row() -> None:
    row = decide.first_seen(step(S.READY, born_ms=77), 99)
    assert (row.state, row.times, row.scan) == (S.ACCEPTED, {S.ACCEPTED: 77}, IDENTITY)
    assert decide.first_seen(step(S.READY), 99).times == {S.ACCEPTED: 99}
    with pytest.raises(ValueError, match="identity"):
        decide.first_seen(RecordStep(kind=RecordStepKind.SCAN, record_id=41), 1)


def test_the_usual_way() -> None:
    row, announced = tell(scan(), step(S.READY), step(S.STARTING, 1), step(S.STARTED, 1))
    assert way(announced) == ["READY", "STARTING", "STARTED"]
    row, announced = hear(row, 10)
    assert way(announced) == ["RUNNING"]
    assert hear(row, 50)[1][0].event is EventKind.PROGRESS


def test_not_started_for_sure_goes_back_and_is_tried_again() -> None:
    row, announced = tell(
        scan(),
        step(S.READY),
        step(S.STARTING, 1),
        step(S.READY, 1, cause="refused"),
        step(S.READY, 1),
        step(S.STARTING, 2),
        step(S.STARTED, 2),
    )
    assert way(announced) == ["READY", "STARTING", "READY", "STARTING", "STARTED"]
    assert row.attempt == 2
    assert len({one.unique for one in announced}) == 5


@pytest.mark.parametrize("state", [S.READY, S.STARTING])
def test_a_job_that_became_too_old_is_held(state: ScanState) -> None:
    row, announced = tell(scan(state, attempt=1), step(S.HELD, 1, cause="old", advice="look"))
    assert (row.state, row.cause, row.advice) == (S.HELD, "old", "look")
    assert way(announced)[-1] == "HELD"


OVERTAKEN = [
    (S.RUNNING, 0, step(S.READY, 0)),
    (S.RUNNING, 0, step(S.STARTING, 1)),
    (S.RUNNING, 0, step(S.STARTED, 1)),
    (S.RUNNING, 0, step(S.UNKNOWN, 1)),
    (S.RUNNING, 1, step(S.STARTED, 1)),
    (S.RUNNING, 1, step(S.UNKNOWN, 1)),
    (S.RUNNING, 1, step(S.READY, 1)),
    (S.ACQUIRED, 0, step(S.STARTING, 1)),
    (S.RECONSTRUCTING, 1, step(S.UNKNOWN, 1)),
    (S.STARTED, 2, step(S.UNKNOWN, 1)),
    (S.UNKNOWN, 1, step(S.READY, 1)),
    (S.UNKNOWN, 1, step(S.STARTING, 1)),
    (S.READY, 0, step(S.READY, 0)),
    (S.STARTING, 1, step(S.READY, 0)),
    *((state, 0, step(told, 9)) for state, told in product(sorted(FINAL), ScanState)),
]


@pytest.mark.parametrize(("state", "attempt", "news"), OVERTAKEN)
def test_news_that_evidence_overtook_is_dropped(
    state: ScanState, attempt: int, news: RecordStep
) -> None:
    row = scan(state, attempt=attempt)
    assert tell(row, news) == (row, [])


@pytest.mark.parametrize("state", [S.READY, S.STARTING, S.UNKNOWN, S.HELD, S.ACCEPTED, S.STARTED])
def test_a_status_is_evidence_that_it_runs(state: ScanState) -> None:
    row, announced = hear(scan(state))
    assert row.state is S.RUNNING
    assert way(announced)[-1] == "RUNNING"
    assert announced[-1].event is EventKind.PROGRESS
    assert announced[-1].fields == {"percent": 10, "state": S.RUNNING}


def test_where_the_gateway_is_off_nobody_says_that_it_was_posted() -> None:
    _, announced = hear(scan(S.READY), gateway=False)
    assert way(announced) == ["RUNNING"]


@pytest.mark.parametrize("state", ["RUNNING", "DONE", None])
def test_what_a_device_calls_done_is_not_yet_a_result(state: str | None) -> None:
    row, announced = hear(scan(S.RUNNING), 100, state)
    assert row.state is S.RUNNING
    assert [one.event for one in announced] == [EventKind.PROGRESS]


@pytest.mark.parametrize("told", ["FAILED", "ABORTED"])
@pytest.mark.parametrize("state", [state for state in ScanState if state not in FINAL])
def test_what_a_device_calls_failed_is_failed(state: ScanState, told: str) -> None:
    row, announced = hear(scan(state), 40, told)
    assert (row.state, row.cause) == (S.FAILED, f"the device reported {told}")
    assert way(announced)[-1] == "FAILED"


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_status_after_the_end_is_late_and_changes_nothing(state: ScanState) -> None:
    row = scan(state, percent=80)
    after, announced = hear(row, 100, "FAILED")
    assert after == row
    assert [(one.event, one.fields) for one in announced] == [
        (EventKind.LATE, {"percent": 100, "state": state})
    ]


def test_the_percentage_never_falls() -> None:
    row, _ = hear(scan(S.RUNNING), 60)
    row, announced = hear(row, 20)
    assert row.percent == 60
    assert announced[-1].fields["percent"] == 20


@pytest.mark.parametrize("state", ScanState)
@pytest.mark.parametrize("told", [None, "RUNNING", "DONE", "FAILED", "ABORTED"])
def test_a_devices_free_text_is_announced_nowhere(state: ScanState, told: str | None) -> None:
    row, announced = hear(scan(state), 5, told, text="Anna Muster fell asleep")
    assert "Muster" not in repr(announced)
    assert "Muster" not in repr(row)
