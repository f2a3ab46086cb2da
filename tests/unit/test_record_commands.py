"""Commands to a scan that has a record: one answer each, the same after a crash."""

from itertools import product
from typing import Any

import pytest

from models import wire
from models.events import EventKind, ScanEvent, ScanState
from models.scan import ScanCommandKind
from models.steps import DeviceStepKind
from tests.unit.test_device_bench import Death
from tests.unit.test_record_bench import RecordBench

S = ScanState
K = ScanCommandKind
OTHERS = [kind for kind in K if kind is not K.CONFIRM]
NOT_BEGUN = [S.ACCEPTED, S.WAITING, S.QUEUED, S.HELD, S.READY]
FINAL = [S.COMPLETED, S.FAILED, S.CANCELLED]
TO_CANCEL = [S.UNKNOWN, S.ACQUIRED, S.RECONSTRUCTING]


def at(state: ScanState, *, settings: dict[str, Any] | None = None, **fields: Any) -> RecordBench:
    bench = RecordBench(**(settings or {}))
    bench.put(state, attempt=1, **fields)
    return bench


def answer(bench: RecordBench) -> ScanEvent:
    [event] = bench.events(EventKind.COMMAND_ANSWERED)
    assert event.command_id == "c-60"
    assert (event.record_id, event.device_id) == (41, "d")
    return event


@pytest.mark.parametrize(("state", "kind"), [*product(NOT_BEGUN, OTHERS)])
async def test_what_was_not_started_is_its_devices(state: ScanState, kind: K) -> None:
    bench = at(state)
    await bench.agent.handle(bench.command(kind))
    [step] = bench.device_steps()
    assert (step.kind, step.device_id) == (DeviceStepKind.COMMAND, "d")
    assert step.command is not None
    assert (step.command.command_id, step.command.scan_request_id) == ("c-60", "r-1")
    assert bench.sent(wire.DEVICE_STEPS)[0].key == b"d"
    assert bench.events() == [], "the device's aggregate answers"


@pytest.mark.parametrize(
    ("state", "kind"), [*product([S.STARTING, S.UNKNOWN, S.STARTED, S.RUNNING], OTHERS)]
)
async def test_no_scanner_takes_a_command(state: ScanState, kind: K) -> None:
    if (state, kind) == (S.UNKNOWN, K.CANCEL):
        return
    bench = at(state)
    before = bench.row()
    await bench.agent.handle(bench.command(kind))
    event = answer(bench)
    assert event.cause == f"this device takes no {kind}: nothing was done (asked by Ada)"
    assert event.advice == "This is no emergency stop; the scanner's own button is."
    assert event.state is state
    assert bench.row() == before
    assert bench.device_steps() == []


async def test_where_devices_read_their_orders_a_ready_scan_may_have_begun() -> None:
    bench = at(S.READY, settings={"gateway": False})
    await bench.agent.handle(bench.command("STOP"))
    assert answer(bench).cause == "this device takes no STOP: nothing was done (asked by Ada)"


@pytest.mark.parametrize(("state", "kind"), [*product(FINAL, K)])
async def test_an_end_never_goes_back(state: ScanState, kind: K) -> None:
    bench = at(state)
    before = bench.row()
    await bench.agent.handle(bench.command(kind, started=False))
    assert answer(bench).cause == f"the scan is {state}: nothing was done (asked by Ada)"
    assert bench.row() == before
    assert bench.device_steps() == []


@pytest.mark.parametrize("kind", [k for k in OTHERS if k is not K.CANCEL])
@pytest.mark.parametrize("state", [S.ACQUIRED, S.RECONSTRUCTING])
async def test_what_is_over_at_its_device_can_only_be_cancelled(state: ScanState, kind: K) -> None:
    bench = at(state)
    await bench.agent.handle(bench.command(kind))
    said = f"the scan is {state}, and over at its device: nothing was done (asked by Ada)"
    assert answer(bench).cause == said


@pytest.mark.parametrize("state", [*TO_CANCEL, S.STARTED, S.RUNNING])
async def test_a_cancel_that_is_taken_ends_the_scan_and_says_so_again(state: ScanState) -> None:
    whole = at(state, overdue=True)
    await whole.agent.handle(whole.command("CANCEL"))
    assert whole.row().state is S.CANCELLED
    said = answer(whole)
    assert said.cause == (
        "taken: the scan is CANCELLED; its scanner is told nothing (asked by Ada)"
    )
    assert said.state is S.CANCELLED
    [end] = whole.events(EventKind.STATE_CHANGED)
    assert (end.previous, end.cause) == (state, "cancelled by a person (asked by Ada)")

    bench = at(state, overdue=True)
    bench.producer.dies_at = wire.SCAN_EVENTS
    with pytest.raises(Death):
        await bench.agent.handle(bench.command("CANCEL"))
    assert bench.row() == whole.row()
    bench.restart()
    for _ in range(2):
        await bench.agent.handle(bench.command("CANCEL"))
    assert [e.event_id for e in bench.events()] == [e.event_id for e in whole.events()]
    assert bench.row() == whole.row()


async def test_a_cancelled_unknown_scan_frees_its_device_and_is_not_told_as_started() -> None:
    bench = at(S.UNKNOWN)
    await bench.agent.handle(bench.command("CANCEL"))
    [step] = bench.device_steps()
    assert (step.kind, step.state) == (DeviceStepKind.RELEASED, S.CANCELLED)
    assert (step.request_id, step.device_id) == ("r-1", "d")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"device_id": "e"}, "the scan is another device's"),
        ({"scan_request_id": "r-2"}, "the scan is another request's"),
        ({"attempt": 3}, "attempt 1 is the newest"),
    ],
)
@pytest.mark.parametrize("state", [S.READY, S.UNKNOWN, S.RUNNING])
async def test_a_command_that_means_another_scan_changes_nothing(
    state: ScanState, fields: dict[str, Any], problem: str
) -> None:
    bench = at(state, overdue=True)
    for kind, offset in (("CANCEL", 60), ("CONFIRM", 60)):
        await bench.agent.handle(bench.command(kind, offset, started=True, **fields))
    assert answer(bench).cause == f"{problem}: nothing was done (asked by Ada)"
    assert bench.row().state is state
    assert bench.device_steps() == []


async def test_a_command_to_a_scan_that_nobody_knows_is_answered() -> None:
    bench = RecordBench()
    await bench.agent.handle(bench.command("CANCEL", by=None))
    assert answer(bench).cause == "no such scan is known: nothing was done"


@pytest.mark.parametrize(("was_started", "state"), [(True, S.STARTED), (False, S.READY)])
async def test_a_confirmation_is_answered_before_it_is_written(
    state: ScanState, *, was_started: bool
) -> None:
    bench = at(S.UNKNOWN)
    bench.producer.dies_at = wire.SCAN_EVENTS
    with pytest.raises(Death):
        await bench.agent.handle(bench.command("CONFIRM", started=was_started))
    assert bench.row().state is S.UNKNOWN
    bench.restart()
    await bench.agent.handle(bench.command("CONFIRM", started=was_started))
    assert bench.row().state is state
    [step] = bench.device_steps()
    assert (step.kind, step.started, step.attempt) == (DeviceStepKind.CONFIRMED, was_started, 1)
    [change] = bench.events(EventKind.STATE_CHANGED)
    assert change.cause == "confirmed by a person (asked by Ada)"
    assert bench.row().seen_ms == bench.clock.now_ms, "its silence begins anew"
    await bench.agent.handle(bench.command("CONFIRM", started=was_started))
    assert len(bench.device_steps()) == 1


async def test_what_a_person_writes_is_in_no_event() -> None:
    for state in S:
        bench = at(state, overdue=True)
        await bench.agent.handle(bench.command("CANCEL", reason="Mrs Muster fell asleep"))
        assert "Muster" not in repr(bench.events())


LIMITED = {"scans_per_device": 1}


@pytest.mark.parametrize(("limit", "gateway"), [(0, True), (0, False), (1, True)])
@pytest.mark.parametrize("state", [S.READY, S.STARTING, S.STARTED, S.RUNNING])
async def test_raw_data_say_that_the_scan_is_over_at_its_device(
    state: ScanState, limit: int, *, gateway: bool
) -> None:
    bench = at(state, settings={"scans_per_device": limit, "gateway": gateway})
    last = await bench.upload()
    bench.producer.dies_at = wire.SCAN_EVENTS
    with pytest.raises(Death):
        await bench.agent.handle(last)
    bench.restart()
    await bench.agent.handle(last)
    told = [(one.kind, one.state) for one in bench.device_steps()]
    # Without a limit only a START to come matters, or that its request can be forgotten one day.
    hears = limit > 0 or not gateway or state in {S.READY, S.STARTING}
    expected = [(DeviceStepKind.RELEASED, S.RECONSTRUCTING)] if hears else []
    assert told == expected
    await bench.agent.handle(bench.command("CANCEL"))
    assert len(bench.device_steps()) == len(expected), "it was told already"


@pytest.mark.parametrize("state", [S.HELD, S.READY, S.STARTED])
async def test_an_end_is_told_to_the_device_again_when_its_message_comes_again(
    state: ScanState,
) -> None:
    bench = at(state, settings=LIMITED)
    for _ in range(2):
        await bench.agent.handle(bench.status("ABORTED"))
        bench.restart()
    told = {(one.kind, one.state, one.request_id) for one in bench.device_steps()}
    assert told == {(DeviceStepKind.RELEASED, S.FAILED, "r-1")}
    assert len(bench.device_steps()) == 2


async def test_of_an_unknown_scan_both_are_told_in_order() -> None:
    bench = at(S.UNKNOWN, settings=LIMITED)
    await bench.agent.handle(bench.status("FAILED"))
    kinds = [one.kind for one in bench.device_steps()]
    assert kinds == [DeviceStepKind.CONFIRMED, DeviceStepKind.RELEASED]


@pytest.mark.parametrize("state", [S.FAILED, S.CANCELLED])
async def test_what_the_device_told_is_not_told_back(state: ScanState) -> None:
    bench = at(S.READY, settings=LIMITED)
    await bench.agent.handle(bench.told(state))
    assert bench.row().state is state
    assert bench.sent(wire.DEVICE_STEPS) == []
