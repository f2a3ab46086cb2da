"""Whatever a scan is told, by whomever and in whatever order, it keeps the table of states."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.record import decide
from agents.record.state import ScanRow
from agents.tools import Announcement
from models.events import EventKind, ScanState
from models.scan import StatusState
from models.steps import RecordStep
from tests.unit.test_record_decide import FINAL, allowed, hear, scan, step

Outcome = tuple[ScanRow, list[Announcement]]
Act = Callable[[ScanRow, bool], Outcome]
STATES = st.sampled_from(ScanState)


def told(state: ScanState, attempt: int) -> Act:
    news: RecordStep = step(state, attempt)
    return lambda row, gateway: decide.told_by_device(row, news, 1, gateway=gateway)


def status(percent: int, state: StatusState | None) -> Act:
    return lambda row, gateway: hear(row, percent, state, gateway=gateway)


def moved(goal: ScanState) -> Act:
    return lambda row, gateway: decide.move(row, goal, 1, gateway=gateway)


TOLD = st.builds(told, STATES, st.integers(0, 4))
STATUS = st.builds(status, st.integers(0, 100), st.none() | st.sampled_from(StatusState))
ACTS = st.lists(TOLD | STATUS | st.builds(moved, STATES), max_size=25)


@settings(max_examples=400, deadline=None)
@given(start=STATES, acts=ACTS, gateway=st.booleans())
def test_final_states_never_go_back_and_every_hop_is_allowed(
    start: ScanState, acts: list[Act], *, gateway: bool
) -> None:
    row, at = scan(start), start
    for act in acts:
        before = row
        row, announced = act(row, gateway)
        for one in announced:
            if one.event is EventKind.STATE_CHANGED:
                assert one.fields["previous"] is at
                assert one.fields["state"] in allowed(at, gateway=gateway)
                at = one.fields["state"]
        assert row.state is at, "every change is announced"
        if before.state in FINAL:
            assert row == before
        assert row.attempt >= before.attempt
        assert (row.percent or 0) >= (before.percent or 0)
        assert set(row.times.items()) >= set(before.times.items())


@settings(max_examples=200, deadline=None)
@given(acts=st.lists(TOLD | STATUS, max_size=15), gateway=st.booleans())
def test_hearing_all_twice_changes_nothing_more(acts: list[Act], *, gateway: bool) -> None:
    # A redelivery says again what was said; only the last of it may still be news.
    row = scan()
    for act in acts:
        row, _ = act(row, gateway)
        again, announced = act(row, gateway)
        assert again == row
        assert all(one.event is not EventKind.STATE_CHANGED for one in announced)
