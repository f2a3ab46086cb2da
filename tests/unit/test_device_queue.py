"""The device's queue: one scan at a time, urgent ones first, visible places, holds, and the lease."""

from typing import Any

import pytest

from agents.device.state import request_key
from models import wire
from models.errors import PermanentError, TransientError
from models.events import EventKind, ScanEvent, ScanState
from models.scan import ScanCommand
from models.steps import DeviceStep, DeviceStepKind
from streams.inbound import Inbound
from streams.topics import partition_of
from tests.unit.test_device_bench import Bench, Death
from tests.unit.test_streams_fakes import make_inbound

S = ScanState
AWAY = TransientError("no route", sent=False)
PLACE = partition_of(b"d", 8)


async def handle(bench: Bench, message: Inbound) -> None:
    """Handle a message and all steps and tasks that follow from it."""
    done = {
        topic: len(bench.producer.on(topic)) for topic in (wire.DEVICE_STEPS, wire.DEVICE_TASKS)
    }
    await bench.agent.handle(message)
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
                await bench.agent.handle(bench.read_back(sent[number], offset=1001 + number))


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


async def test_an_urgent_job_behind_a_crash_is_woken() -> None:
    """r-1 held the device when its worker died, and must give it back: r-9 was never tried."""
    bench = Bench(scans_per_device=1)

    def die(what: str) -> None:
        if what == "create":
            raise Death("in the middle of it")

    bench.managers.hook = die
    one = bench.job("r-1", offset=1)
    with pytest.raises(Death):
        await handle(bench, one)
    bench.managers.hook = None
    bench.restart()
    await handle(bench, bench.job("r-9", offset=2, priority=7))
    bench.managers.errors["sequence"] = [TransientError("away", sent=False)]
    await handle(bench, one)
    for _ in range(20):
        await pass_time(bench, 2)
    assert stages(bench)["r-9"] is S.STARTED


async def test_a_command_has_one_answer_whether_its_scan_has_a_record_by_then_or_not() -> None:
    bench = await queue_of("r-1", "r-2")
    await handle(bench, command("RELEASE", "r-2"))
    await over(bench, "r-1")
    answered = bench.row("r-2").model_copy(update={"stage": S.READY})
    assert answered.record_id is not None
    bench.requests.put(PLACE, request_key("d", "r-2"), answered)
    await handle(bench, command("RELEASE", "r-2"))
    answers = [one for one in bench.events() if one.event is EventKind.COMMAND_ANSWERED]
    assert len(answers) == 2
    assert len({one.event_id for one in answers}) == 1


async def test_without_a_queue_and_a_gateway_jobs_behind_one_that_waited_all_go_on() -> None:
    """One 503 stopped a device until its jobs were too old: nobody woke the next one."""
    bench = Bench(gateway=False)
    bench.managers.errors["create"] = [TransientError("503", sent=True)]
    for number in range(4):
        await bench.agent.handle(bench.job(f"r-{number}", offset=7 + number))
    bench.clock.move(10)
    await bench.wake_due()
    assert {bench.row(f"r-{number}").stage for number in range(4)} == {ScanState.READY}
