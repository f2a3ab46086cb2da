"""A crowd of statuses of one scan: the newest is always told, what it outran is left out."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.record.decide import CROWD
from models import wire
from models.events import EventKind, ScanState
from streams.inbound import Inbound
from tests.unit.test_record_bench import RecordBench

S = ScanState


def status(of: RecordBench, percent: int, offset: int, **fields: Any) -> Inbound:
    body = {"record_id": of.record, "status_percent": percent, **fields}
    return of.message(wire.SCAN_STATUS, body, offset)


async def running() -> RecordBench:
    of = RecordBench()
    for offset, state in enumerate([S.READY, S.STARTING, S.STARTED]):
        await of.agent.handle(of.told(state, offset=offset))
    await of.agent.handle(of.status("RUNNING", offset=3))
    return of


async def come(of: RecordBench, messages: Sequence[Inbound]) -> list[int | None]:
    """Let messages come as a crowd, each with those behind it waiting; gives the percents told."""
    before = len(of.events(EventKind.PROGRESS))
    for number, message in enumerate(messages):
        of.behind = messages[number + 1 :]
        await of.agent.handle(message)
    of.behind = ()
    return [event.percent for event in of.events(EventKind.PROGRESS)][before:]


async def test_of_a_crowd_only_the_last_are_told_and_the_newest_is_among_them() -> None:
    of = await running()
    told = await come(of, [status(of, 41 + n, 10 + n) for n in range(40)])
    assert told == list(range(81 - CROWD, 81))
    assert of.row().percent == 80


async def test_a_few_at_once_are_all_told() -> None:
    of = await running()
    told = await come(of, [status(of, 41 + n, 10 + n) for n in range(CROWD)])
    assert told == list(range(41, 41 + CROWD))


@pytest.mark.parametrize(
    "following",
    [
        {"status_percent": 101},
        {"status_percent": 39},
        {"device_id": "another"},
        {"record_id": 42},
        {"state": "FAILED"},
        {"state": "DONE"},
    ],
    ids=str,
)
async def test_what_does_not_say_it_all_outruns_nothing(following: dict[str, Any]) -> None:
    of = await running()
    first = status(of, 60, 10)
    body = {"record_id": of.record, "status_percent": 61, **following}
    rest = [of.message(wire.SCAN_STATUS, body, 11), *(status(of, 70, 12 + n) for n in range(20))]
    of.behind = rest
    await of.agent.handle(first)
    assert of.events(EventKind.PROGRESS)[-1].percent == 60


@pytest.mark.parametrize("state", ["RUNNING", "FAILED", "ABORTED", None])
async def test_a_status_that_changes_the_state_is_never_outrun(state: str | None) -> None:
    of = RecordBench()
    await of.agent.handle(of.told(S.READY, offset=0))
    crowd = [status(of, 50, 11 + n) for n in range(20)]
    of.behind = crowd
    await of.agent.handle(status(of, 40, 10, state=state))
    assert of.row().state is (S.FAILED if state in {"FAILED", "ABORTED"} else S.RUNNING)


async def test_an_end_is_never_outrun_by_the_progress_behind_it() -> None:
    of = await running()
    of.behind = [status(of, 50, 11 + n) for n in range(20)]
    await of.agent.handle(status(of, 40, 10, state="FAILED"))
    assert of.row().state is S.FAILED


async def test_after_the_end_each_is_told_to_be_late() -> None:
    of = await running()
    await of.agent.handle(status(of, 50, 4, state="FAILED"))
    await come(of, [status(of, 60, 10 + n) for n in range(20)])
    assert len(of.events(EventKind.LATE)) == 20


STATES = st.sampled_from([None, None, None, "RUNNING"])


@given(st.lists(st.tuples(st.integers(0, 100), STATES), min_size=1, max_size=60))
async def test_the_row_and_the_newest_are_as_if_each_had_been_told(
    crowd: list[tuple[int, str | None]],
) -> None:
    apart, together = await running(), await running()
    for number, (percent, state) in enumerate(crowd):
        await apart.agent.handle(status(apart, percent, 10 + number, state=state))
    told = await come(
        together, [status(together, p, 10 + n, state=s) for n, (p, s) in enumerate(crowd)]
    )
    assert together.row().percent == apart.row().percent
    assert told[-1] == crowd[-1][0]
    assert max(p for p in told if p is not None) == max(percent for percent, _ in crowd)
