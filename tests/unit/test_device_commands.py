"""Holds of a device, commands to jobs that were not started, and crashes of the queue."""

from typing import Any

import pytest

from models import wire
from models.events import EventKind, ScanState
from models.scan import ScanCommand
from models.steps import DeviceStepKind
from models.work import ON_HOLD
from streams.inbound import Inbound
from tests.unit.test_device_bench import Bench
from tests.unit.test_device_queue import (
    PLACE,
    command,
    handle,
    over,
    pass_time,
    queue_of,
    stages,
    starts,
    states,
    step,
    told,
)
from tests.unit.test_streams_fakes import make_inbound

S = ScanState


# A device on hold.


async def test_a_device_on_hold_starts_nothing_until_it_is_released() -> None:
    bench = await queue_of()
    await handle(bench, command("HOLD"))
    for number in (1, 2, 3):
        await handle(bench, bench.job(f"r-{number}", offset=number))
    assert set(stages(bench).values()) == {S.HELD}
    assert bench.managers.asked == []
    hold = bench.work.get(PLACE, "d", ON_HOLD)
    assert hold is not None
    assert hold.by == "Ada"
    await handle(bench, command("RELEASE", number=2))
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.QUEUED, "r-3": S.QUEUED}
    assert states(bench, "r-3") == [S.ACCEPTED, S.HELD, S.ACCEPTED, S.QUEUED]
    answers = [one.cause for one in bench.events() if one.event is EventKind.COMMAND_ANSWERED]
    assert answers == [
        "taken: the device is on hold, 0 jobs wait (asked by Ada)",
        "taken: the device is released, 3 jobs wait (asked by Ada)",
    ]


async def test_a_running_scan_goes_on_when_its_device_is_put_on_hold() -> None:
    bench = await queue_of("r-1", "r-2")
    await handle(bench, command("HOLD"))
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.QUEUED}
    await over(bench, "r-1")
    assert starts(bench) == 1
    await handle(bench, command("RELEASE", number=2))
    assert starts(bench) == 2


async def test_a_task_on_its_way_is_not_posted_to_a_device_on_hold() -> None:
    bench = Bench(scans_per_device=1)
    await bench.agent.handle(bench.job("r-1", offset=1))
    await handle(bench, command("HOLD"))
    await handle(bench, bench.task())
    assert starts(bench) == 0
    assert bench.heard()[0].state is S.HELD
    assert bench.work.names(PLACE, "d", "p") == [], "it holds the device no more"
    await handle(bench, command("RELEASE", number=2))
    assert starts(bench) == 1
    assert bench.managers.asked.count("create") == 1
    assert [one.fields["state"] for one in bench.heard()[1]] == [
        "READY", "HELD", "READY", "STARTING", "STARTED",
    ]  # fmt: skip


async def test_a_hold_survives_a_restart() -> None:
    bench = await queue_of("r-1")
    await handle(bench, command("HOLD"))
    bench.restart()
    await handle(bench, bench.job("r-2", offset=2))
    assert stages(bench)["r-2"] is S.HELD


async def test_many_that_were_held_line_up_again() -> None:
    bench = await queue_of()
    await handle(bench, command("HOLD"))
    for number in range(120):
        await handle(bench, bench.job(f"r-{number:03d}", offset=number))
    await handle(bench, command("RELEASE", number=2))
    counted = list(stages(bench).values())
    assert (counted.count(S.STARTED), counted.count(S.QUEUED)) == (1, 119)


# Commands to jobs.


@pytest.mark.parametrize("kind", ["CANCEL", "STOP"])
async def test_a_queued_job_is_cancelled(kind: str) -> None:
    bench = await queue_of("r-1", "r-2", "r-3")
    await handle(bench, command(kind, "r-2"))
    assert stages(bench)["r-2"] is S.CANCELLED
    (answer,) = told(bench, "r-2", EventKind.COMMAND_ANSWERED)
    assert (answer.cause or "").startswith("taken: cancelled")
    assert answer.state is S.CANCELLED
    last = told(bench, "r-2", EventKind.STATE_CHANGED)[-1]
    assert (last.state, last.cause) == (S.CANCELLED, "cancelled by a person (asked by Ada)")
    await over(bench, "r-1")
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.CANCELLED, "r-3": S.STARTED}


async def test_a_ready_job_is_cancelled_and_its_task_is_never_posted() -> None:
    bench = Bench(scans_per_device=1)
    await bench.agent.handle(bench.job("r-1", offset=1))
    await handle(bench, command("CANCEL", "r-1"))
    await handle(bench, bench.task())
    assert starts(bench) == 0
    assert bench.heard()[0].state is S.CANCELLED
    assert not bench.parked.rows


@pytest.mark.parametrize("kinds", [("PAUSE", "RESUME"), ("HOLD", "RELEASE")])
async def test_a_queued_job_is_held_by_a_person_and_released(kinds: tuple[str, str]) -> None:
    bench = await queue_of("r-1", "r-2")
    await handle(bench, command(kinds[0], "r-2"))
    assert stages(bench)["r-2"] is S.HELD
    await over(bench, "r-1")
    assert starts(bench) == 1, "it waits for a person"
    await handle(bench, command(kinds[1], "r-2", number=2))
    assert stages(bench)["r-2"] is S.STARTED
    assert not bench.work.names(PLACE, "d", "h")


async def test_a_released_job_waits_for_its_turn() -> None:
    bench = await queue_of("r-1", "r-2", "r-3")
    await handle(bench, command("PAUSE", "r-2"))
    await handle(bench, command("RESUME", "r-2", number=2))
    assert stages(bench)["r-2"] is S.QUEUED
    assert states(bench, "r-2")[-2:] == [S.ACCEPTED, S.QUEUED]
    await over(bench, "r-1")
    assert stages(bench)["r-2"] is S.STARTED, "its place is the one that it had"


async def test_a_held_job_with_a_record_is_released_into_its_turn() -> None:
    bench = Bench(scans_per_device=1)
    await bench.agent.handle(bench.job("r-1", offset=1))
    await handle(bench, command("PAUSE", "r-1"))
    await handle(bench, bench.task())
    await handle(bench, bench.job("r-2", offset=2))
    assert stages(bench) == {"r-1": S.HELD, "r-2": S.STARTED}
    await handle(bench, command("RESUME", "r-1", number=2))
    assert stages(bench)["r-1"] is S.HELD, "the device is busy"
    await over(bench, "r-2")
    assert stages(bench)["r-1"] is S.STARTED
    assert bench.managers.asked.count("create") == 2


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("RELEASE", "the job is QUEUED, not HELD: nothing was done (asked by Ada)"),
        ("CONFIRM", "the scan is QUEUED, not UNKNOWN: nothing was done (asked by Ada)"),
    ],
)
async def test_what_does_not_fit_is_answered_and_changes_nothing(kind: str, answer: str) -> None:
    bench = await queue_of("r-1", "r-2")
    message = command("RELEASE", "r-2")
    if kind == "CONFIRM":
        body = (message.value or b"").replace(b'"RELEASE"', b'"CONFIRM","started":true')
        message = make_inbound(body, topic=wire.SCAN_COMMANDS, key=b"d", partition=PLACE, offset=1)
    await handle(bench, message)
    assert told(bench, "r-2", EventKind.COMMAND_ANSWERED)[0].cause == answer
    assert stages(bench)["r-2"] is S.QUEUED


async def test_a_command_that_comes_again_is_answered_with_the_same_id_and_done_once() -> None:
    bench = await queue_of("r-1", "r-2")
    for _ in range(2):
        await handle(bench, command("CANCEL", "r-2"))
    assert len(told(bench, "r-2", EventKind.COMMAND_ANSWERED)) == 1
    assert states(bench, "r-2") == [S.ACCEPTED, S.QUEUED, S.CANCELLED]


async def test_a_command_to_a_scan_that_has_begun_is_its_records() -> None:
    bench = await queue_of("r-1")
    before = len(bench.producer.on(wire.RECORD_STEPS))
    await handle(bench, command("STOP", "r-1"))
    passed = bench.producer.on(wire.RECORD_STEPS)[before:]
    assert len(passed) == 1
    assert b'"kind":"command"' in (passed[0].value or b"")
    assert not told(bench, "r-1", EventKind.COMMAND_ANSWERED)


async def test_what_the_record_passed_on_too_late_is_answered_so_and_not_passed_back() -> None:
    bench = await queue_of("r-1")
    passed = ScanCommand.from_bytes(command("CANCEL", "r-1").value or b"")
    before = len(bench.producer.on(wire.RECORD_STEPS))
    await handle(bench, step(DeviceStepKind.COMMAND, command=passed))
    assert len(bench.producer.on(wire.RECORD_STEPS)) == before
    (answer,) = told(bench, "r-1", EventKind.COMMAND_ANSWERED)
    assert answer.cause == "this device takes no CANCEL: nothing was done (asked by Ada)"
    assert stages(bench)["r-1"] is S.STARTED


async def test_a_scan_that_ended_without_a_start_is_never_started() -> None:
    bench = Bench(scans_per_device=1)
    await bench.agent.handle(bench.job("r-1", offset=1))
    await over(bench, "r-1", S.CANCELLED)
    await handle(bench, bench.task())
    assert starts(bench) == 0


# Crashes: whatever was durable, one scan at a time, and nobody is forgotten.


class Crash(BaseException):
    """The worker dies here."""


async def _crash_at(bench: Bench, number: int, message: Inbound) -> bool:
    """Handle a message in a worker that dies at its nth send; tell whether it died."""
    sent = 0
    real = bench.producer.send

    async def mortal(*args: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent >= number:
            raise Crash
        return await real(*args)

    bench.producer.send = mortal  # type: ignore[assignment]
    try:
        await bench.agent.handle(message)
    except Crash:
        return True
    finally:
        bench.producer.send = real  # type: ignore[method-assign]
    return False


@pytest.mark.parametrize("number", range(1, 12))
async def test_a_crash_when_the_device_is_freed_forgets_nobody(number: int) -> None:
    bench = await queue_of("r-1", "r-2", "r-3")
    freed = step(DeviceStepKind.RELEASED, request_id="r-1", state=S.ACQUIRED)
    await _crash_at(bench, number, freed)
    bench.restart()
    await handle(bench, freed)
    await pass_time(bench, 40)
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.STARTED, "r-3": S.QUEUED}
    assert starts(bench) == 2
