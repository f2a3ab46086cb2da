"""A scan's deadline, whatever dies: it survives, and says what it has to say once."""

import pytest

from agents.record.agent import DEADLINE_GRACE_MS
from agents.record.state import WorkKind
from models import wire
from models.events import EventKind, ScanEvent
from tests.unit.test_device_bench import Death
from tests.unit.test_record_deadlines import bench, counts, overdue, running


async def test_a_deadline_survives_a_restart_and_comes_after_a_grace() -> None:
    of = await running(bench())
    of.clock.move(7200)
    of.restart()
    [item] = of.open(WorkKind.DEADLINE)
    assert item.due_ms == of.clock.now_ms + DEADLINE_GRACE_MS
    await of.pass_time(1)
    assert overdue(of) == []
    await of.pass_time(2)
    assert counts(overdue(of)) == [("RUNNING", 1)]
    of.restart()
    await of.pass_time(3)
    assert len(overdue(of)) == 1


async def test_a_timers_message_that_comes_again_sets_no_second_deadline() -> None:
    of = await running(bench())
    of.clock.move(25)
    [due] = of.work.due(of.clock.now_ms)
    await of.agent.wake(due)
    for _ in range(2):
        await of.agent.handle(of.last_step())
    of.clock.move(100)
    assert len(list(of.work.due(of.clock.now_ms))) == 1


async def test_a_worker_that_dies_as_it_announces_says_it_once() -> None:
    of = await running(bench())
    real = of.scans.put

    def dying(*_: object) -> None:
        raise Death

    of.scans.put = dying  # type: ignore[method-assign,assignment]
    with pytest.raises(Death):
        await of.pass_time(31)
    of.scans.put = real  # type: ignore[method-assign]
    of.restart()
    await of.pass_time(5)
    sent = [ScanEvent.from_bytes(one.value or b"") for one in of.sent(wire.SCAN_EVENTS)]
    assert sum(event.event is EventKind.OVERDUE for event in sent) == 2
    assert len(overdue(of)) == 1


async def test_the_end_drops_it_also_if_the_worker_died_before_it_could() -> None:
    of = await running(bench())
    await of.agent.handle(of.status("FAILED", offset=2))
    assert of.open(WorkKind.DEADLINE) == []
    dead = await running(bench())
    dead.producer.dies_at = wire.SCAN_EVENTS
    with pytest.raises(Death):
        await dead.agent.handle(dead.status("FAILED", offset=2))
    dead.restart()
    await dead.pass_time(40)
    assert dead.open(WorkKind.DEADLINE) == []
    assert overdue(dead) == []
