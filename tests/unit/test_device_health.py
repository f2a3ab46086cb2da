"""Outage or own fault: what others' requests to the same manager say."""

import pytest

from agents.device.health import Health
from models.errors import PermanentError, TransientError
from tests.unit.test_streams_fakes import HandClock


class FakeManager:
    name = "exam manager"

    def __init__(self) -> None:
        self.well = True
        self.probes = 0

    async def probe(self) -> bool:
        self.probes += 1
        return self.well


class Asking:
    """Asks a manager, one second after the other."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.health = Health(self.clock.monotonic)
        self.manager = FakeManager()

    async def goes_well(self, subject: str) -> None:
        async def call() -> str:
            return "answer"

        self.clock.move(1)
        assert await self.health.ask(self.manager, subject, call()) == "answer"

    async def fails(
        self,
        subject: str,
        *,
        sent: bool = True,
        status: int | None = 500,
        manager: FakeManager | None = None,
    ) -> bool:
        async def call() -> str:
            raise TransientError("500", sent=sent, status=status)

        self.clock.move(1)
        with pytest.raises(TransientError) as caught:
            await self.health.ask(manager or self.manager, subject, call())
        return caught.value.at_fault


@pytest.fixture
def asking() -> Asking:
    return Asking()


async def test_alone_and_the_manager_well_it_is_at_fault_from_its_second_failure(
    asking: Asking,
) -> None:
    assert [await asking.fails("a") for _ in range(5)] == [False, True, True, True, True]


async def test_alone_and_the_manager_not_well_it_is_never_at_fault(asking: Asking) -> None:
    asking.manager.well = False
    assert [await asking.fails("a") for _ in range(5)] == [False] * 5


async def test_while_others_succeed_it_is_at_fault_without_a_probe(asking: Asking) -> None:
    await asking.fails("a")
    await asking.goes_well("b")
    asking.manager.well = False
    assert await asking.fails("a")
    assert asking.manager.probes == 0


async def test_while_others_fail_nobody_is_at_fault(asking: Asking) -> None:
    for _ in range(5):
        assert not await asking.fails("a")
        assert not await asking.fails("b")
    assert asking.manager.probes == 0


async def test_a_success_before_its_last_failure_says_nothing(asking: Asking) -> None:
    await asking.goes_well("b")
    await asking.fails("a")
    asking.manager.well = False
    assert not await asking.fails("a")


async def test_its_own_success_is_no_witness(asking: Asking) -> None:
    await asking.fails("a")
    await asking.goes_well("a")
    asking.manager.well = False
    assert not await asking.fails("a")


async def test_what_was_never_sent_is_never_at_fault(asking: Asking) -> None:
    await asking.goes_well("b")
    assert [await asking.fails("a", sent=False) for _ in range(4)] == [False] * 4


@pytest.mark.parametrize("status", [401, 403, 408, 425, 429])
async def test_an_answer_that_is_not_of_the_request_is_never_its_fault(
    asking: Asking, status: int
) -> None:
    assert not any([await asking.fails("a", status=status) for _ in range(4)])


async def test_one_manager_says_nothing_of_another(asking: Asking) -> None:
    other = FakeManager()
    other.name = "sequence manager"
    await asking.fails("a")
    assert not await asking.fails("a", manager=other)


async def test_other_errors_pass_through(asking: Asking) -> None:
    async def call() -> str:
        raise PermanentError("404")

    with pytest.raises(PermanentError):
        await asking.health.ask(asking.manager, "a", call())
    assert asking.manager.probes == 0


async def test_what_is_remembered_is_bounded(asking: Asking) -> None:
    for number in range(500):
        await asking.goes_well(f"good {number}")
        await asking.fails(f"bad {number}")
    seen = asking.health._seen[FakeManager.name]
    assert len(seen.good) <= 64
    assert len(seen.bad) <= 64
