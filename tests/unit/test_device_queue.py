"""The device's queue: one scan at a time, urgent ones first, visible places, holds, and the lease."""

from typing import Any

import pytest

from models import wire
from models.errors import PermanentError, TransientError
from models.events import EventKind, ScanEvent, ScanState
from models.scan import ScanCommand
from models.steps import DeviceStep, DeviceStepKind
from models.work import ON_HOLD
from streams.inbound import Inbound
from streams.topics import partition_of
from tests.unit.test_device_bench import Bench
from tests.unit.test_streams_fakes import make_inbound

S = ScanState
AWAY = TransientError("no route", sent=False)
PLACE = partition_of(b"d", 8)


async def handle(bench: Bench, message: Inbound) -> None:
    """Handle a message and all steps and tasks that follow from it."""
    done = {
        topic: len(bench.producer.on(topic)) for topic in (wire.DEVICE_STEPS, wire.DEVICE_TASKS)
    }
    rest = await bench.agent.handle(message)
    if rest is not None:
        await rest
    await follow(bench, done)


async def follow(bench: Bench, done: dict[str, int]) -> None:
    going = True
    while going:
        going = False
        for topic, number in list(done.items()):
            sent = bench.producer.on(topic)
            if len(sent) > number:
                going = True
                done[topic] = number + 1
                rest = await bench.agent.handle(bench.read_back(sent[number], offset=1001 + number))
                if rest is not None:
                    await rest


async def pass_time(bench: Bench, seconds: float) -> None:
    """Let time pass, and do what becomes due."""
    bench.clock.move(seconds)
    done = {
        topic: len(bench.producer.on(topic)) for topic in (wire.DEVICE_STEPS, wire.DEVICE_TASKS)
    }
    for due in bench.work.due(bench.clock.broker_ms()):
        await bench.agent.wake(due)
    await follow(bench, done)


def step(kind: DeviceStepKind, **fields: Any) -> Inbound:
    body = DeviceStep(kind=kind, device_id="d", **fields).to_bytes()
    return make_inbound(body, topic=wire.DEVICE_STEPS, key=b"d", partition=PLACE, offset=77)


def command(kind: str, request: str | None = None, number: int = 1) -> Inbound:
    body = ScanCommand.model_validate(
        {
            "command_id": f"c-{kind}-{request}-{number}",
            "command": kind,
            "device_id": "d",
            "scan_request_id": request,
            "by": "Ada",
        }
    )
    return make_inbound(
        body.to_bytes(), topic=wire.SCAN_COMMANDS, key=b"d", partition=PLACE, offset=number
    )


async def over(bench: Bench, request: str, state: ScanState = S.ACQUIRED) -> None:
    await handle(bench, step(DeviceStepKind.RELEASED, request_id=request, state=state))


async def queue_of(*requests: str, **settings: Any) -> Bench:
    """Give a device with a running scan of the first request, and the others behind it."""
    bench = Bench(scans_per_device=1, **settings)
    for offset, request in enumerate(requests, start=1):
        await handle(bench, bench.job(request, offset=offset))
    return bench


def stages(bench: Bench) -> dict[str, ScanState]:
    rows = [row for _, _, row in bench.requests.items()]
    return {row.request_id: row.stage for row in sorted(rows, key=lambda r: r.request_id)}


def told(bench: Bench, request: str, *kinds: EventKind) -> list[ScanEvent]:
    """Give what was announced of a request, repeats dropped."""
    unique: dict[str, ScanEvent] = {}
    for event in bench.events():
        if event.request_id == request and (not kinds or event.event in kinds):
            unique.setdefault(event.event_id, event)
    return list(unique.values())


def states(bench: Bench, request: str) -> list[ScanState | None]:
    return [one.state for one in told(bench, request, EventKind.STATE_CHANGED)]


def starts(bench: Bench) -> int:
    return bench.managers.asked.count("START")


async def test_a_device_gets_one_scan_at_a_time() -> None:
    bench = await queue_of("r-1", "r-2", "r-3")
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.QUEUED, "r-3": S.QUEUED}
    assert starts(bench) == 1
    assert bench.managers.asked.count("create") == 1, "no record before its turn"
    await over(bench, "r-1")
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.STARTED, "r-3": S.QUEUED}
    await over(bench, "r-2", S.FAILED)
    await over(bench, "r-3", S.COMPLETED)
    assert starts(bench) == 3
    assert not bench.parked.rows


async def test_two_at_a_time_where_the_setting_says_so() -> None:
    bench = Bench(scans_per_device=2)
    for number in range(1, 5):
        await handle(bench, bench.job(f"r-{number}", offset=number))
    assert starts(bench) == 2
    await over(bench, "r-2")
    assert stages(bench)["r-3"] is S.STARTED
    assert stages(bench)["r-4"] is S.QUEUED


async def test_without_a_limit_nobody_is_queued() -> None:
    bench = Bench(scans_per_device=0)
    for number in range(1, 4):
        await handle(bench, bench.job(f"r-{number}", offset=number))
    assert starts(bench) == 3
    assert not bench.parked.rows


async def test_places_are_announced_when_they_change() -> None:
    bench = await queue_of("r-1", "r-2", "r-3", "r-4")
    queued = [told(bench, f"r-{n}")[-1] for n in (2, 3, 4)]
    assert [one.count for one in queued] == [1, 2, 3]
    await over(bench, "r-1")
    places = [[one.count for one in told(bench, f"r-{n}", EventKind.PROGRESS)] for n in (2, 3, 4)]
    assert places == [[], [1], [2]]
    assert told(bench, "r-3", EventKind.PROGRESS)[0].state is S.QUEUED


async def test_urgent_ones_go_first_among_those_waiting() -> None:
    bench = await queue_of("r-1", "r-2", "r-3")
    await handle(bench, bench.job("r-9", offset=9, priority=5))
    assert starts(bench) == 1, "a running scan is not interrupted"
    assert told(bench, "r-9")[-1].count == 1
    assert [one.count for one in told(bench, "r-2", EventKind.PROGRESS)] == [2]
    await over(bench, "r-1")
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.QUEUED, "r-3": S.QUEUED, "r-9": S.STARTED}


async def test_an_unknown_scan_holds_the_queue_until_it_is_settled() -> None:
    bench = Bench(scans_per_device=1)
    bench.managers.errors["START"] = [TransientError("reset", sent=True)]
    for number in (1, 2):
        await handle(bench, bench.job(f"r-{number}", offset=number))
    assert stages(bench) == {"r-1": S.UNKNOWN, "r-2": S.QUEUED}
    await handle(bench, step(DeviceStepKind.CONFIRMED, request_id="r-1", attempt=1, started=True))
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.QUEUED}, "it runs now"
    await over(bench, "r-1")
    await pass_time(bench, 1)  # the device is left alone for a moment, as it did not answer
    assert stages(bench)["r-2"] is S.STARTED


async def test_an_unknown_scan_that_was_not_started_is_sent_before_those_behind_it() -> None:
    bench = Bench(scans_per_device=1)
    bench.managers.errors["START"] = [TransientError("reset", sent=True)]
    for number in (1, 2):
        await handle(bench, bench.job(f"r-{number}", offset=number))
    await handle(bench, step(DeviceStepKind.CONFIRMED, request_id="r-1", attempt=1, started=False))
    await pass_time(bench, 1)
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.QUEUED}
    assert bench.row("r-1").starts == 2


async def test_a_device_that_is_away_holds_its_queue_visibly() -> None:
    bench = Bench(scans_per_device=1)
    bench.managers.errors["START"] = [AWAY] * 2
    for number in (1, 2):
        await handle(bench, bench.job(f"r-{number}", offset=number))
    assert stages(bench) == {"r-1": S.READY, "r-2": S.QUEUED}
    holder = bench.work.get(PLACE, "d", "p" + bench.row("r-1").order)
    assert holder is not None
    assert (holder.reason, holder.waiting) == ("no route", True)
    for _ in range(3):
        await pass_time(bench, 25)
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.QUEUED}


async def test_a_failed_start_frees_the_device() -> None:
    bench = Bench(scans_per_device=1)
    bench.managers.errors["START"] = [PermanentError("400")]
    for number in (1, 2):
        await handle(bench, bench.job(f"r-{number}", offset=number))
    assert stages(bench) == {"r-1": S.FAILED, "r-2": S.STARTED}


async def test_a_manager_that_is_away_makes_the_head_wait_and_leaves_the_device_free() -> None:
    bench = Bench(scans_per_device=1)
    bench.managers.errors["create"] = [TransientError("down", sent=True)]
    for number in (1, 2):
        await handle(bench, bench.job(f"r-{number}", offset=number))
    assert stages(bench) == {"r-1": S.WAITING, "r-2": S.WAITING}
    assert bench.work.names(PLACE, "d", "p") == []
    await pass_time(bench, 1)
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.QUEUED}
    assert states(bench, "r-2") == [S.ACCEPTED, S.WAITING, S.ACCEPTED, S.QUEUED]


async def test_one_that_is_queued_for_too_long_is_held() -> None:
    bench = await queue_of("r-1", "r-2", "r-3", start_max_age_s=60)
    await pass_time(bench, 61)
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.HELD, "r-3": S.HELD}
    await over(bench, "r-1")
    assert starts(bench) == 1
    await handle(bench, command("RELEASE", "r-3"))
    assert stages(bench) == {"r-1": S.STARTED, "r-2": S.HELD, "r-3": S.STARTED}
    assert states(bench, "r-2")[-1] is S.HELD


async def test_a_lease_that_is_long_is_announced_and_never_freed_by_itself() -> None:
    bench = await queue_of("r-1", "r-2", "r-3", lease_s=100, start_max_age_s=3600)
    await pass_time(bench, 101)
    (long,) = told(bench, "r-1", EventKind.OVERDUE)
    assert (long.state, long.count, long.record_id) == (S.STARTED, 2, 41)
    await pass_time(bench, 50)
    assert len(told(bench, "r-1", EventKind.OVERDUE)) == 1
    await pass_time(bench, 60)
    assert len(told(bench, "r-1", EventKind.OVERDUE)) == 2
    assert starts(bench) == 1


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
        rest = await bench.agent.handle(message)
        if rest is not None:
            await rest
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
