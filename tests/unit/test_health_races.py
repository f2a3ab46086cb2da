"""What changes while a manager is being asked or probed, and answers that nobody gave just now."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

import pytest

from agents.device.health import Health
from managers.cache import Cache
from models.errors import PermanentError, TransientError
from tests.unit.test_device_health import FakeManager
from tests.unit.test_streams_fakes import HandClock


class SlowManager(FakeManager):
    """One whose probe waits for a test, and whose answers may be kept."""

    def __init__(self, name: str, clock: HandClock) -> None:
        super().__init__()
        self.name = name
        self.let, self.begun = asyncio.Event(), asyncio.Event()
        self.let.set()
        self.cache: Cache[str, str] = Cache(ttl_s=5, max_bytes=100, size=len, clock=clock.monotonic)
        self.error: Exception | None = None
        self.answered = 0

    async def probe(self) -> bool:
        self.begun.set()
        await self.let.wait()
        return await super().probe()

    async def kept(self, what: str) -> str:
        """Give an answer that is kept for five seconds, as an address or a sequence is."""

        async def load() -> str:
            if self.error is not None:
                raise self.error
            self.answered += 1
            return "answer"

        return await self.cache.get(what, load)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def health(clock: HandClock) -> Health:
    return Health(clock.monotonic, 0.5, 5.0)


def call(manager: SlowManager, error: Exception | None = None) -> Callable[[], Awaitable[str]]:
    """Give a call that is answered well, or raises."""

    async def asked() -> str:
        if error is not None:
            raise error
        manager.answered += 1
        return "answer"

    return asked


REFUSED = TransientError("refused", sent=False)


async def open_breaker(health: Health, manager: SlowManager) -> None:
    manager.well = False
    for subject in ("r-1", "r-2", "r-3"):
        with pytest.raises(TransientError):
            await health.ask(manager, subject, call(manager, REFUSED)())
    assert manager.name in health.away


async def test_a_manager_that_is_first_asked_while_another_is_probed(
    health: Health, clock: HandClock
) -> None:
    exams, devices = SlowManager("exam manager", clock), SlowManager("device manager", clock)
    await open_breaker(health, exams)
    clock.move(1)
    exams.let.clear()
    exams.begun.clear()
    looking = asyncio.create_task(health.look())
    await exams.begun.wait()
    assert await health.ask(devices, "r-4", call(devices)()) == "answer"
    exams.let.set()
    assert not await looking


async def test_managers_are_probed_side_by_side(health: Health, clock: HandClock) -> None:
    exams, devices = SlowManager("exam manager", clock), SlowManager("device manager", clock)
    for one in (exams, devices):
        await open_breaker(health, one)
    clock.move(1)
    for one in (exams, devices):
        one.let.clear()
        one.begun.clear()
    looking = asyncio.create_task(health.look())
    async with asyncio.timeout(5):
        await asyncio.gather(exams.begun.wait(), devices.begun.wait())
    for one in (exams, devices):
        one.let.set()
        one.well = True
    assert await looking


async def test_an_answer_during_a_vain_probe_leaves_the_breaker_closed(
    health: Health, clock: HandClock
) -> None:
    exams, late = SlowManager("exam manager", clock), asyncio.Event()

    async def slow() -> str:
        await late.wait()
        exams.answered += 1
        return "answer"

    asked = asyncio.create_task(health.ask(exams, "r-0", slow()))
    await asyncio.sleep(0)
    await open_breaker(health, exams)
    clock.move(1)
    exams.let.clear()
    exams.begun.clear()
    looking = asyncio.create_task(health.look())
    await exams.begun.wait()
    late.set()
    assert await asked == "answer"
    exams.let.set()
    await looking
    assert (health.away, health.any_open) == ({}, False)


async def test_an_answer_while_it_is_probed_before_opening_keeps_it_closed(
    health: Health, clock: HandClock
) -> None:
    exams = SlowManager("exam manager", clock)
    exams.well = False
    for _ in range(2):
        with pytest.raises(TransientError):
            await health.ask(exams, "r-1", call(exams, REFUSED)())
    exams.let.clear()
    third = asyncio.create_task(health.ask(exams, "r-1", call(exams, REFUSED)()))
    await exams.begun.wait()
    await health.ask(exams, "r-2", call(exams)())
    exams.let.set()
    with pytest.raises(TransientError):
        await third
    assert (health.away, health.any_open) == ({}, False)


async def test_an_answer_from_the_cache_is_no_sign_of_life(
    health: Health, clock: HandClock
) -> None:
    """Else a job whose sequence is not kept would be FAILED in an outage, as if at fault itself."""
    sequences = SlowManager("sequence manager", clock)
    assert await health.ask(sequences, "r-kept", sequences.kept("one")) == "answer"
    sequences.well, sequences.error = False, TransientError("502", status=502)
    for _ in range(3):
        clock.move(1)
        assert await health.ask(sequences, "r-kept", sequences.kept("one")) == "answer"
        with pytest.raises(TransientError) as caught:
            await health.ask(sequences, "r-1", sequences.kept("other"))
        assert not caught.value.at_fault
    assert "sequence manager" in health.away


async def test_a_final_answer_is_a_sign_of_life(health: Health, clock: HandClock) -> None:
    exams = SlowManager("exam manager", clock)
    await open_breaker(health, exams)
    clock.move(1)
    exams.well = True
    assert await health.look()
    with pytest.raises(PermanentError):
        await health.ask(exams, "r-1", call(exams, PermanentError("unknown", status=404))())
    assert health.away == {}


async def test_a_refusal_of_our_own_is_none(health: Health, clock: HandClock) -> None:
    """An id of a wrong shape is refused before anybody is asked."""
    exams = SlowManager("exam manager", clock)
    await open_breaker(health, exams)
    clock.move(1)
    exams.well = True
    await health.look()
    with pytest.raises(PermanentError):
        await health.ask(exams, "r-1", call(exams, PermanentError("no such id"))())
    assert "exam manager" in health.away


async def test_what_is_not_asked_is_closed_and_never_begun(
    health: Health, clock: HandClock
) -> None:
    """`-W error` would make a coroutine that is never awaited a failure."""
    exams, begun = SlowManager("exam manager", clock), []
    await open_breaker(health, exams)

    async def asked() -> str:
        begun.append(1)
        return "answer"

    coroutine = asked()
    with pytest.raises(TransientError, match="the exam manager is away"):
        await health.ask(exams, "r-9", coroutine)
    assert not begun
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


async def test_why_it_is_away_is_kept(health: Health, clock: HandClock) -> None:
    exams = SlowManager("exam manager", clock)
    await open_breaker(health, exams)
    clock.move(2)
    (change,) = health.changes(1.0)
    assert change.why == "refused"
