"""Every change of state that a device's aggregate announces itself: before a job has a record.

The others are its record's: tests/unit/test_record_transitions.py.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from agents.device.state import request_key
from agents.states import TRANSITIONS
from models.errors import PermanentError, TransientError
from models.events import EventKind, ScanState
from tests.unit.test_device_bench import Bench
from tests.unit.test_device_queue import (
    PLACE,
    S,
    command,
    handle,
    over,
    pass_time,
    queue_of,
    told,
)

Scenario = Callable[[], Awaitable[Bench]]

HERS: Final = (S.ACCEPTED, S.WAITING, S.QUEUED, S.HELD, S.FAILED, S.CANCELLED)
DOWN: Final = TransientError("down", sent=True)
GONE: Final = PermanentError("no such sequence")


async def accepted_by_a_worker_that_died() -> Bench:
    """Give a device whose job was accepted, and no more, when its worker died."""
    bench = Bench(scans_per_device=1)
    await handle(bench, bench.job("r-1"))
    row = bench.row("r-1")
    fresh = {"stage": S.ACCEPTED, "moves": 0, "record_id": None, "tasks": 0, "starts": 0}
    bench.requests.put(PLACE, request_key("d", "r-1"), row.model_copy(update=fresh))
    bench.producer.sent.clear()
    bench.parked.rows.clear()
    bench.restart()
    return bench


async def waiting(*, most_s: float = 900) -> Bench:
    """Give a device whose job waits for a manager."""
    bench = Bench(scans_per_device=1, start_max_age_s=most_s)
    bench.managers.errors["sequence"] = [DOWN]
    await handle(bench, bench.job("r-1"))
    return bench


async def held() -> Bench:
    """Give a device whose job a person holds."""
    bench = await queue_of("r-0", "r-1")
    await handle(bench, command("HOLD", "r-1"))
    return bench


async def to_waiting() -> Bench:
    return await waiting()


async def to_held() -> Bench:
    bench = Bench(scans_per_device=1)
    await handle(bench, command("HOLD"))
    await handle(bench, bench.job("r-1"))
    return bench


async def to_queued() -> Bench:
    return await queue_of("r-0", "r-1")


async def to_failed() -> Bench:
    bench = Bench(scans_per_device=1)
    bench.managers.errors["sequence"] = [GONE]
    await handle(bench, bench.job("r-1"))
    return bench


async def to_cancelled() -> Bench:
    bench = await accepted_by_a_worker_that_died()
    await handle(bench, command("CANCEL", "r-1"))
    return bench


async def waiting_to_accepted() -> Bench:
    """Let the one that waits for a manager find its device taken by an urgent one."""
    bench = await waiting()
    await handle(bench, bench.job("r-0", offset=1, priority=9))
    await pass_time(bench, 1)
    return bench


async def waiting_to_held() -> Bench:
    bench = await waiting(most_s=60)
    bench.managers.errors["sequence"] = []
    await pass_time(bench, 61)
    return bench


async def waiting_to_failed() -> Bench:
    bench = await waiting()
    bench.managers.errors["sequence"] = [GONE]
    await pass_time(bench, 1)
    return bench


async def waiting_to_cancelled() -> Bench:
    bench = await waiting()
    await handle(bench, command("CANCEL", "r-1"))
    return bench


async def queued_to_accepted() -> Bench:
    bench = await queue_of("r-0", "r-1")
    bench.managers.errors["sequence"] = [DOWN]
    await over(bench, "r-0")
    return bench


async def queued_to_held() -> Bench:
    bench = await queue_of("r-0", "r-1", start_max_age_s=60)
    await pass_time(bench, 61)
    return bench


async def queued_to_failed() -> Bench:
    bench = await queue_of("r-0", "r-1")
    bench.managers.errors["sequence"] = [GONE]
    await over(bench, "r-0")
    return bench


async def queued_to_cancelled() -> Bench:
    bench = await queue_of("r-0", "r-1")
    await handle(bench, command("CANCEL", "r-1"))
    return bench


async def held_to_accepted() -> Bench:
    bench = await held()
    await handle(bench, command("RELEASE", "r-1", number=2))
    return bench


async def held_to_failed() -> Bench:
    bench = await held()
    await over(bench, "r-0")
    bench.managers.errors["sequence"] = [GONE]
    await handle(bench, command("RELEASE", "r-1", number=2))
    return bench


async def held_to_cancelled() -> Bench:
    bench = await held()
    await handle(bench, command("CANCEL", "r-1", number=2))
    return bench


SCENARIOS: Final[dict[tuple[ScanState, ScanState], Scenario]] = {
    (S.ACCEPTED, S.WAITING): to_waiting,
    (S.ACCEPTED, S.HELD): to_held,
    (S.ACCEPTED, S.QUEUED): to_queued,
    (S.ACCEPTED, S.FAILED): to_failed,
    (S.ACCEPTED, S.CANCELLED): to_cancelled,
    (S.WAITING, S.ACCEPTED): waiting_to_accepted,
    (S.WAITING, S.HELD): waiting_to_held,
    (S.WAITING, S.FAILED): waiting_to_failed,
    (S.WAITING, S.CANCELLED): waiting_to_cancelled,
    (S.QUEUED, S.ACCEPTED): queued_to_accepted,
    (S.QUEUED, S.HELD): queued_to_held,
    (S.QUEUED, S.FAILED): queued_to_failed,
    (S.QUEUED, S.CANCELLED): queued_to_cancelled,
    (S.HELD, S.ACCEPTED): held_to_accepted,
    (S.HELD, S.FAILED): held_to_failed,
    (S.HELD, S.CANCELLED): held_to_cancelled,
}


@pytest.mark.parametrize(("start", "goal"), SCENARIOS)
async def test_the_change_is_announced(start: ScanState, goal: ScanState) -> None:
    bench = await SCENARIOS[start, goal]()
    hops = [(one.previous, one.state) for one in told(bench, "r-1", EventKind.STATE_CHANGED)]
    assert (start, goal) in hops
    for previous, state in hops:
        assert previous is None or state in TRANSITIONS[previous], "no other way was gone"


def test_no_change_is_left_out() -> None:
    hers = {(start, goal) for start in HERS for goal in TRANSITIONS[start] if goal in HERS}
    assert set(SCENARIOS) == hers
