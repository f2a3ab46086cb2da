"""A person settles what can't be known: it was started, or it was not and is sent once more."""

from typing import Any

import pytest

from agents.record import deeds
from agents.record.deeds import Answer
from models import wire
from models.errors import TransientError
from models.events import ScanState
from models.scan import ScanCommand
from models.steps import DeviceStep, DeviceStepKind
from streams.inbound import Inbound
from streams.topics import partition_of
from tests.unit.test_device_bench import Bench, Death, started
from tests.unit.test_record_decide import scan
from tests.unit.test_streams_fakes import make_inbound


def confirm(row_state: ScanState = ScanState.UNKNOWN, **fields: Any) -> Answer:
    body = {"command_id": "c", "command": "CONFIRM", "device_id": "d", "started": False}
    command = ScanCommand.model_validate({**body, **fields})
    answer = deeds.answer(scan(row_state, attempt=2), command, 1, gateway=True)
    assert answer is not None, "the record answers a CONFIRM in any state"
    return answer


def confirmed(attempt: int = 1, *, was_started: bool = False) -> Inbound:
    step = DeviceStep(
        kind=DeviceStepKind.CONFIRMED,
        device_id="d",
        request_id="r-1",
        attempt=attempt,
        started=was_started,
    )
    return make_inbound(
        step.to_bytes(),
        topic=wire.DEVICE_STEPS,
        key=b"d",
        partition=partition_of(b"d", 8),
        offset=50,
    )


@pytest.fixture
async def unknown() -> Bench:
    bench = Bench()
    bench.managers.errors["START"] = [TransientError("reset", status=None)]
    await started(bench)
    assert bench.row().stage is ScanState.UNKNOWN
    return bench


@pytest.mark.parametrize(
    ("was_started", "state"), [(True, ScanState.STARTED), (False, ScanState.READY)]
)
def test_a_persons_word_settles_an_unknown_scan(state: ScanState, *, was_started: bool) -> None:
    answer = confirm(started=was_started, attempt=2)
    assert answer.row.state is state
    assert answer.started is was_started


@pytest.mark.parametrize("state", [one for one in ScanState if one is not ScanState.UNKNOWN])
def test_any_other_state_is_answered_and_left(state: ScanState) -> None:
    answer = confirm(state)
    assert answer.row == scan(state, attempt=2)
    assert answer.started is None
    assert len(answer.announcements) == 1


@pytest.mark.parametrize("fields", [{"attempt": 1}, {"attempt": 3}, {"device_id": "e"}])
def test_another_attempt_or_device_changes_nothing(fields: dict[str, Any]) -> None:
    answer = confirm(**fields)
    assert (answer.row.state, answer.started) == (ScanState.UNKNOWN, None)


async def test_not_started_is_sent_once_more_and_no_more(unknown: Bench) -> None:
    for _ in range(3):
        await unknown.agent.handle(confirmed())
    unknown.clock.move(60)  # the scanner was left alone for a while
    # Each redelivery sends a task; all but the newest are stale.
    for number in range(len(unknown.producer.on(wire.DEVICE_TASKS))):
        await unknown.agent.handle(unknown.task(number))
    assert unknown.managers.asked.count("START") == 2
    assert (unknown.row().stage, unknown.row().starts) == (ScanState.STARTED, 2)


async def test_started_is_not_sent_again(unknown: Bench) -> None:
    await unknown.agent.handle(confirmed(was_started=True))
    await unknown.agent.handle(confirmed(was_started=False))
    assert unknown.row().stage is ScanState.STARTED
    assert len(unknown.producer.on(wire.DEVICE_TASKS)) == 1


async def test_a_confirmation_of_another_attempt_is_ignored(unknown: Bench) -> None:
    await unknown.agent.handle(confirmed(attempt=2))
    assert unknown.row().stage is ScanState.UNKNOWN


async def test_a_crash_between_row_and_task_does_not_lose_the_confirmation(unknown: Bench) -> None:
    # The row may be durable and the task not: what comes again must send the task (promises 1, 6).
    send = unknown.producer.send

    async def die_at_the_task(topic: str, *rest: Any) -> Any:
        if topic == wire.DEVICE_TASKS:
            raise Death
        return await send(topic, *rest)

    unknown.producer.send = die_at_the_task  # type: ignore[method-assign, assignment]
    with pytest.raises(Death):
        await unknown.agent.handle(confirmed())
    unknown.producer.send = send  # type: ignore[method-assign]
    unknown.restart()
    await unknown.agent.handle(confirmed())
    unknown.clock.move(60)
    await unknown.wake_due()
    assert len(unknown.producer.on(wire.DEVICE_TASKS)) == 2
