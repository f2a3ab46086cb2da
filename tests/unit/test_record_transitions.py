"""Every change of state that a record's aggregate announces, by the message that causes it.

The others are its device's, before a job has a record: tests/unit/test_device_transitions.py.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import pytest

from agents.states import TRANSITIONS
from models import wire
from models.events import EventKind, ScanEvent, ScanState
from settings import RecoDialect
from tests.unit.test_record_bench import RecordBench

S = ScanState
Scenario = Callable[[], Awaitable[RecordBench]]
Hop = tuple[ScanState, ScanState]

FOREIGN: Final = str(UUID(int=5))
BEFORE_ITS_RECORD: Final = (S.ACCEPTED, S.WAITING, S.QUEUED, S.HELD)


def told(start: ScanState, goal: ScanState, attempt: int = 1) -> Scenario:
    """Let the device's aggregate tell of it."""

    async def play() -> RecordBench:
        bench = RecordBench()
        bench.put(start, attempt=1)
        await bench.agent.handle(bench.told(goal, attempt))
        return bench

    return play


def first(previous: ScanState) -> Scenario:
    """Let the device's aggregate tell of a job that has its record now."""

    async def play() -> RecordBench:
        bench = RecordBench()
        await bench.agent.handle(bench.told(S.READY, attempt=0, previous=previous))
        return bench

    return play


def status(start: ScanState, state: str, **settings: Any) -> Scenario:
    async def play() -> RecordBench:
        bench = RecordBench(**settings)
        bench.put(start, attempt=1)
        await bench.agent.handle(bench.status(state))
        return bench

    return play


def command(start: ScanState, kind: str, **fields: Any) -> Scenario:
    """Let a person command it; the scan was announced as overdue."""

    async def play() -> RecordBench:
        bench = RecordBench()
        bench.put(start, attempt=1, overdue=True)
        await bench.agent.handle(bench.command(kind, **fields))
        return bench

    return play


def raw(start: ScanState, **settings: Any) -> Scenario:
    """Let its raw data be there; a foreign worker can't reconstruct a record with a UUID."""

    async def play() -> RecordBench:
        record: int | str = FOREIGN if "reco_dialect" in settings else 41
        bench = RecordBench(record, **settings)
        bench.put(start, attempt=1)
        await bench.agent.handle(await bench.upload())
        return bench

    return play


async def image() -> RecordBench:
    bench = RecordBench()
    bench.put(S.RECONSTRUCTING, attempt=1)
    await bench.agent.handle(await bench.reconstructed())
    return bench


async def no_image() -> RecordBench:
    bench = RecordBench()
    bench.put(S.RECONSTRUCTING, attempt=1)
    bench.sent_to_reconstruction()
    await bench.agent.handle(bench.result(success=False))
    return bench


SCENARIOS: Final[dict[Hop, Scenario]] = {
    **{(state, S.READY): first(state) for state in BEFORE_ITS_RECORD},
    (S.HELD, S.FAILED): told(S.HELD, S.FAILED),
    (S.HELD, S.CANCELLED): told(S.HELD, S.CANCELLED),
    (S.READY, S.STARTING): told(S.READY, S.STARTING, 2),
    (S.READY, S.HELD): told(S.READY, S.HELD),
    (S.READY, S.FAILED): told(S.READY, S.FAILED),
    (S.READY, S.CANCELLED): told(S.READY, S.CANCELLED),
    (S.STARTING, S.STARTED): told(S.STARTING, S.STARTED),
    (S.STARTING, S.UNKNOWN): told(S.STARTING, S.UNKNOWN),
    (S.STARTING, S.READY): told(S.STARTING, S.READY),
    (S.STARTING, S.FAILED): told(S.STARTING, S.FAILED),
    (S.STARTING, S.RUNNING): status(S.STARTING, "RUNNING"),
    (S.STARTING, S.ACQUIRED): raw(S.STARTING),
    (S.UNKNOWN, S.STARTED): command(S.UNKNOWN, "CONFIRM", started=True),
    (S.UNKNOWN, S.READY): command(S.UNKNOWN, "CONFIRM", started=False),
    (S.UNKNOWN, S.RUNNING): status(S.UNKNOWN, "RUNNING"),
    (S.UNKNOWN, S.ACQUIRED): raw(S.UNKNOWN),
    (S.UNKNOWN, S.FAILED): status(S.UNKNOWN, "ABORTED"),
    (S.UNKNOWN, S.CANCELLED): command(S.UNKNOWN, "CANCEL"),
    (S.STARTED, S.RUNNING): status(S.STARTED, "RUNNING"),
    (S.STARTED, S.FAILED): status(S.STARTED, "FAILED"),
    (S.STARTED, S.CANCELLED): command(S.STARTED, "CANCEL"),
    (S.RUNNING, S.ACQUIRED): raw(S.RUNNING),
    (S.RUNNING, S.FAILED): status(S.RUNNING, "FAILED"),
    (S.RUNNING, S.CANCELLED): command(S.RUNNING, "CANCEL"),
    (S.ACQUIRED, S.RECONSTRUCTING): raw(S.RUNNING),
    (S.ACQUIRED, S.FAILED): raw(S.RUNNING, reco_dialect=RecoDialect.UPSTREAM),
    (S.ACQUIRED, S.CANCELLED): command(S.ACQUIRED, "CANCEL"),
    (S.RECONSTRUCTING, S.COMPLETED): image,
    (S.RECONSTRUCTING, S.FAILED): no_image,
    (S.RECONSTRUCTING, S.CANCELLED): command(S.RECONSTRUCTING, "CANCEL"),
}
WITHOUT_GATEWAY: Final[dict[Hop, Scenario]] = {
    (S.READY, S.RUNNING): status(S.READY, "RUNNING", gateway=False),
    (S.READY, S.ACQUIRED): raw(S.READY, gateway=False),
}


@pytest.mark.parametrize(("hop", "play"), [*SCENARIOS.items(), *WITHOUT_GATEWAY.items()])
async def test_the_change_is_announced(hop: Hop, play: Scenario) -> None:
    bench = await play()
    hops = [(one.previous, one.state) for one in bench.events(EventKind.STATE_CHANGED)]
    assert hop in hops
    for previous, state in hops:
        assert previous is not None
        assert state in TRANSITIONS[previous] or (previous, state) in WITHOUT_GATEWAY
    assert bench.row().state is hops[-1][1], "what is announced last is what is written"


def test_no_change_is_left_out() -> None:
    all_of_them = {(start, goal) for start, goals in TRANSITIONS.items() for goal in goals}
    of_device_alone = {
        (start, goal)
        for start, goal in all_of_them
        if start in BEFORE_ITS_RECORD
        and goal is not S.READY
        and not (start is S.HELD and goal.final)  # of a job that had its record when it was held
    }
    assert set(SCENARIOS) == all_of_them - of_device_alone


async def test_a_persons_holds_and_releases_have_ids_of_their_own() -> None:
    bench = RecordBench()
    steps = [bench.told(S.READY, attempt=0, offset=1)]
    for offset in range(2, 10, 2):
        steps += [bench.told(S.HELD, attempt=0, offset=offset)]
        steps += [bench.told(S.READY, attempt=0, offset=offset + 1)]
    for one in steps:
        await bench.agent.handle(one)
    await bench.agent.handle(bench.told(S.STARTING, offset=20))
    states = [e.state for e in bench.events(EventKind.STATE_CHANGED)]
    assert states == [S.READY, *[S.HELD, S.READY] * 4, S.STARTING]


async def test_steps_that_come_again_say_nothing_new_wherever_the_worker_died() -> None:
    goals = [S.READY, S.HELD, S.READY, S.HELD, S.READY, S.HELD]
    whole = RecordBench()
    for offset, goal in enumerate(goals):
        await whole.agent.handle(whole.told(goal, attempt=0, offset=offset))
    expected = [event.event_id for event in whole.events()]
    for committed in range(len(goals)):
        for died in range(committed, len(goals)):
            bench = RecordBench()
            for offset, goal in enumerate(goals[: died + 1]):
                await bench.agent.handle(bench.told(goal, attempt=0, offset=offset))
            bench.restart()
            for offset, goal in enumerate(goals[committed:], start=committed):
                await bench.agent.handle(bench.told(goal, attempt=0, offset=offset))
            assert [event.event_id for event in bench.events()] == expected
            assert bench.row().state is S.HELD


async def test_a_release_that_was_announced_and_not_written_is_announced_as_the_same() -> None:
    bench = RecordBench()
    for offset, goal in enumerate([S.READY, S.HELD, S.READY]):
        if offset == 2:
            before = bench.row()
        await bench.agent.handle(bench.told(goal, attempt=0, offset=offset))
    bench.scans.put(bench.partition, bench.key, before)  # the write of the last one got lost
    await bench.agent.handle(bench.told(S.READY, attempt=0, offset=2))
    sent = [ScanEvent.from_bytes(one.value or b"") for one in bench.sent(wire.SCAN_EVENTS)]
    assert sent[-1].event_id == sent[-2].event_id
    assert bench.row().turns == 1
