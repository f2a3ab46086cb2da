"""A flood is told a few times, then counted; no number gets lost."""

from hypothesis import given
from hypothesis import strategies as st

from streams.flood import Flood


def test_so_many_are_told_then_none_until_the_window_is_over() -> None:
    flood = Flood(most=2, window_s=60)
    assert [flood.take(("a",), now) for now in (0, 1, 2, 59)] == [True, True, False, False]
    assert flood.take(("b",), 2)
    assert flood.wait_s(10) == 50
    assert list(flood.over(59.9)) == []
    assert list(flood.over(60)) == [(("a",), 2)]
    assert flood.wait_s(60) is None
    assert flood.take(("a",), 60)


def test_without_a_flood_there_is_nothing_to_say() -> None:
    flood = Flood(most=2, window_s=60)
    assert flood.take(("a",), 0)
    assert flood.wait_s(0) is None
    assert list(flood.over(1_000)) == []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50)), max_size=60))
def test_told_and_counted_are_all(steps: list[tuple[str, int]]) -> None:
    flood, now, told, counted = Flood(most=3, window_s=60), 0.0, 0, 0
    for subject, pause in steps:
        now += pause
        counted += sum(count for _, count in flood.over(now))
        told += flood.take((subject,), now)
    counted += sum(count for _, count in flood.over(now + 60))
    assert told + counted == len(steps)
