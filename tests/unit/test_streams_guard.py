"""The guard: 0.7 of the session without a good heartbeat, and the worker does nothing any more."""

import pytest

from streams.guard import EXIT_FATAL, Guard
from tests.unit.test_streams_fakes import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def stops() -> list[str]:
    return []


@pytest.fixture
def guard(clock: HandClock, stops: list[str]) -> Guard:
    return Guard(10.0, clock.monotonic, stops.append)


@pytest.mark.parametrize(("away_s", "stopped"), [(0, False), (6.999, False), (7.001, True)])
def test_it_stops_after_seven_tenths_of_the_session(
    guard: Guard, clock: HandClock, stops: list[str], away_s: float, *, stopped: bool
) -> None:
    guard.beat()
    clock.move(away_s)
    guard.check()
    assert bool(stops) is stopped
    if stopped:
        assert "7.0 s" in stops[0]
        assert str(EXIT_FATAL) in stops[0]


def test_each_beat_counts_anew(guard: Guard, clock: HandClock, stops: list[str]) -> None:
    for _ in range(5):
        guard.beat()
        clock.move(5)
        guard.check()
    assert stops == []


def test_before_the_first_assignment_it_lets_pass(
    guard: Guard, clock: HandClock, stops: list[str]
) -> None:
    clock.move(1_000)
    guard.check()
    assert stops == []


def test_suspended_it_lets_pass_and_a_beat_arms_it_again(
    guard: Guard, clock: HandClock, stops: list[str]
) -> None:
    guard.beat()
    guard.suspend()
    clock.move(1_000)
    guard.check()
    assert stops == []
    guard.beat()
    clock.move(8)
    guard.check()
    assert len(stops) == 1
