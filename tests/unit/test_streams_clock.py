"""Clocks: ages by the broker's time, whatever this machine's wall clock says."""

import time
from datetime import timedelta

import pytest

from streams.clock import Clock


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr(Clock, "monotonic", lambda _: now[0])
    return now


def test_broker_time_goes_on_from_what_was_seen(monotonic: list[float]) -> None:
    clock = Clock()
    clock.observe_broker(5_000_000)
    monotonic[0] += 2.5
    assert clock.broker_ms() == 5_002_500


def test_a_step_of_the_wall_clock_does_not_move_broker_time(monotonic: list[float]) -> None:
    clock = Clock()
    clock.observe_broker(5_000_000)
    before = clock.wall()
    clock.offset_s = 7_200.0
    assert clock.broker_ms() == 5_000_000
    assert clock.wall() - before >= timedelta(hours=2)
    assert monotonic == [1_000.0]


def test_before_anything_was_sent_there_is_only_the_wall_clock() -> None:
    assert abs(Clock(offset_s=3_600).broker_ms() - (time.time() + 3_600) * 1000) < 60_000


def test_monotonic_time_never_goes_back() -> None:
    clock = Clock()
    seen = [clock.monotonic() for _ in range(100)]
    assert seen == sorted(seen)
    assert clock.wall().utcoffset() == timedelta(0)
