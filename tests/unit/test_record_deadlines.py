"""A scan that is silent for too long is announced, never ended; a person, or evidence, settles it."""

import time
from collections.abc import Iterable
from typing import Any

import pytest

from agents.record.state import WorkKind
from models import wire
from models.events import EventKind, ScanEvent, ScanState
from models.steps import Failure, RecordStep, RecordStepKind
from settings import RecoDialect
from streams.clock import Clock
from tests.unit.test_record_bench import RAW, RecordBench
from tests.unit.test_streams_fakes import NOON_MS

S = ScanState
LIMITS = {"first_status_s": 20, "silence_s": 30, "reconstruction_s": 50}


def bench(**settings: Any) -> RecordBench:
    return RecordBench(**{**LIMITS, **settings})


def overdue(of: RecordBench) -> list[ScanEvent]:
    return of.events(EventKind.OVERDUE)


def counts(events: Iterable[ScanEvent]) -> list[tuple[str | None, int | None]]:
    return [(event.state, event.count) for event in events]


async def started(of: RecordBench) -> RecordBench:
    for offset, state in enumerate([S.READY, S.STARTING, S.STARTED]):
        await of.agent.handle(of.told(state, offset=offset))
    return of


async def running(of: RecordBench) -> RecordBench:
    await started(of)
    await of.agent.handle(of.status("RUNNING"))
    return of


async def reconstructing(of: RecordBench) -> RecordBench:
    await running(of)
    await of.agent.handle(await of.upload())
    return of


async def unknown(of: RecordBench) -> RecordBench:
    for offset, state in enumerate([S.READY, S.STARTING, S.UNKNOWN]):
        await of.agent.handle(of.told(state, offset=offset))
    return of


WAYS = {
    S.STARTED: (started, 20, "no status for 20 s"),
    S.UNKNOWN: (unknown, 20, "no status for 20 s"),
    S.RUNNING: (running, 30, "no status and no result for 30 s"),
    S.RECONSTRUCTING: (reconstructing, 50, "no image for 50 s"),
}


@pytest.mark.parametrize("state", WAYS)
async def test_silence_is_announced_once_after_the_limit_of_its_state(state: ScanState) -> None:
    make, limit, cause = WAYS[state]
    silent = await make(bench())
    await silent.pass_time(limit - 1)
    assert overdue(silent) == []
    await silent.pass_time(2)
    [event] = overdue(silent)
    assert (event.state, event.cause, event.count, event.attempt) == (state, cause, 1, 1)
    assert event.advice
    await silent.pass_time(10 * limit)
    assert len(overdue(silent)) == 1
    assert silent.row().state is state, "a deadline never ends a scan"
    assert silent.row().overdue


async def test_evidence_begins_it_anew_and_the_next_silence_counts() -> None:
    silent = await running(bench())
    await silent.pass_time(31)
    await silent.agent.handle(silent.status("RUNNING", offset=2))
    assert not silent.row().overdue
    await silent.pass_time(28)
    assert counts(overdue(silent)) == [("RUNNING", 1)]
    await silent.pass_time(40)
    assert counts(overdue(silent)) == [("RUNNING", 1), ("RUNNING", 2)]
    await silent.agent.handle(await silent.upload())
    await silent.pass_time(120)
    assert counts(overdue(silent))[2:] == [("RECONSTRUCTING", 1)]


async def test_hundred_percent_is_no_result() -> None:
    silent = await started(bench())
    done = {"record_id": 41, "status_percent": 100, "state": "DONE"}
    await silent.agent.handle(silent.message(wire.SCAN_STATUS, done, 1))
    await silent.pass_time(32)
    assert [event.cause for event in overdue(silent)] == ["100 % and no result for 30 s"]


async def test_statuses_write_no_deadline_and_await_none() -> None:
    of = await running(bench())
    before = len(of.items.writes)
    assert before == 1, "a later limit is not written either"
    real = of.items.get
    of.items.get = None  # type: ignore[method-assign,assignment]
    of.scans.gate.clear()  # a write that is awaited would wait for ever
    for offset in range(2, 40):
        of.clock.move(1)
        await of.agent.handle(of.status("RUNNING", offset=offset))
    assert len(of.items.writes) == before
    assert of.row().seen_ms == of.clock.now_ms
    of.scans.gate.set()
    of.items.get = real  # type: ignore[method-assign]
    await of.pass_time(31)
    assert counts(overdue(of)) == [("RUNNING", 1)]


async def test_a_shorter_limit_of_the_next_state_counts_at_once() -> None:
    of = await running(bench(first_status_s=5000, silence_s=10))
    await of.pass_time(12)
    assert counts(overdue(of)) == [("RUNNING", 1)]


async def test_a_scanners_statuses_say_nothing_of_the_reconstruction() -> None:
    of = await reconstructing(bench())
    for offset in range(10, 17):
        await of.pass_time(10)
        await of.agent.handle(of.status("DONE", offset=offset))
    assert counts(overdue(of)) == [("RECONSTRUCTING", 1)]
    assert of.row().overdue


async def test_while_its_data_are_copied_a_scan_is_not_overdue() -> None:
    of = await running(bench())
    copied = await of.upload()
    await of.pass_time(100)
    assert overdue(of) == []
    refused = RecordStep(
        kind=RecordStepKind.STORED,
        record_id=41,
        name=f"copy/{RAW}",
        failure=Failure(sentence="no such file", cause=wire.Cause.FILE_REFUSED),
    )
    await of.agent.handle(of.message(wire.RECORD_STEPS, refused, copied.offset))
    await of.pass_time(31)
    assert counts(overdue(of)) == [("RUNNING", 1)], "its copy was given up"


async def test_what_lies_unread_is_waited_for() -> None:
    of = await running(bench())
    of.read = False
    await of.pass_time(33)
    assert overdue(of) == []
    passed = NOON_MS + 30_000
    assert of.asked
    assert set(of.asked) == {(of.partition, passed)}, "for the time at which it became overdue"
    await of.agent.handle(of.status("RUNNING", offset=2))
    of.read = True
    await of.pass_time(29)
    assert overdue(of) == []
    await of.pass_time(3)
    assert counts(overdue(of)) == [("RUNNING", 1)]


async def test_nobody_is_asked_for_a_scan_of_which_something_came() -> None:
    of = await running(bench())
    for offset in range(2, 12):
        await of.pass_time(20)
        await of.agent.handle(of.status("RUNNING", offset=offset))
    assert of.asked == []


async def test_a_wall_clock_that_is_wrong_makes_nothing_overdue() -> None:
    of = await running(bench())
    of.clock.offset_s = 7200
    real = of.clock.wall
    of.clock.wall = lambda: real().replace(year=2031)  # type: ignore[method-assign]
    await of.pass_time(29)
    await of.agent.handle(of.status("RUNNING", offset=2))
    await of.pass_time(29)
    assert overdue(of) == []


def test_the_brokers_time_does_not_follow_a_stepped_clock() -> None:
    clock = Clock()
    clock.observe_broker(NOON_MS)
    began = time.monotonic()
    clock.offset_s = -7200
    assert 0 <= clock.broker_ms() - NOON_MS <= (time.monotonic() - began + 1) * 1000


async def test_before_its_start_a_scan_has_no_deadline_unless_nobody_tells_of_it() -> None:
    of = bench()
    await of.agent.handle(of.told(S.READY, attempt=0))
    assert of.open(WorkKind.DEADLINE) == []
    own = bench(gateway=False)
    await own.agent.handle(own.told(S.READY, attempt=0))
    await own.pass_time(21)
    assert counts(overdue(own)) == [("READY", 1)]


async def test_back_in_its_devices_queue_it_has_none_and_gets_one_again() -> None:
    of = bench()
    await of.agent.handle(of.told(S.STARTING, offset=1))
    await of.agent.handle(of.told(S.READY, offset=2))
    await of.pass_time(60)
    assert overdue(of) == []
    assert of.open(WorkKind.DEADLINE) == []
    await of.agent.handle(of.told(S.STARTING, attempt=2, offset=3))
    await of.pass_time(21)
    assert counts(overdue(of)) == [("STARTING", 1)]


async def test_a_foreign_workers_image_is_looked_for_slowly_once_it_is_overdue() -> None:
    of = await reconstructing(bench(reco_dialect=RecoDialect.UPSTREAM))
    await of.pass_time(51)
    assert counts(overdue(of)) == [("RECONSTRUCTING", 1)]

    async def missed() -> int:
        [item] = of.open(WorkKind.REGISTER)
        failed = RecordStep(
            kind=RecordStepKind.STORED,
            record_id=41,
            name="register/conventional",
            version=item.version,
            failure=Failure(sentence="not there", again=True),
        )
        await of.agent.handle(of.message(wire.RECORD_STEPS, failed, 200))
        left = of.open(WorkKind.REGISTER)
        return (left[0].due_ms or 0) - of.clock.now_ms if left else -1

    assert await missed() == 4_000
    await of.agent.handle(of.command("CANCEL"))
    assert await missed() == -1, "it ends with the scan"
