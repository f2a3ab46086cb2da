"""Offsets: what the broker skipped is empty, what got lost on the way is not."""

from hypothesis import given
from hypothesis import strategies as st

from streams.offsets import Offsets

PLACE = ("scan-jobs", 0)
SORTED = st.lists(st.integers(0, 60), unique=True, min_size=1).map(sorted)


@given(SORTED, st.data())
def test_a_commit_passes_nothing_that_is_not_done(stored: list[int], data: st.DataObject) -> None:
    offsets = Offsets()
    offsets.sought(PLACE, 0)
    offsets.fetched(PLACE, stored, start=0)
    done = data.draw(st.sets(st.sampled_from(stored)))
    settled = offsets.settled(PLACE, 0, set(done))
    open_ones = [offset for offset in stored if offset not in done]
    assert all(offset >= settled for offset in open_ones)
    if open_ones:
        assert settled == open_ones[0]


@given(SORTED, st.data())
def test_a_message_that_got_lost_on_the_way_is_seen_by_the_next(
    stored: list[int], data: st.DataObject
) -> None:
    offsets = Offsets()
    offsets.sought(PLACE, 0)
    offsets.fetched(PLACE, stored, start=0)
    lost = data.draw(st.sampled_from([*stored, None]))
    told = [offsets.take(PLACE, offset) for offset in stored if offset != lost]
    after = [offset for offset in stored if lost is not None and offset > lost]
    assert told.count(False) == len(after), "what comes behind it is left, too"


def test_after_a_seek_back_messages_come_again() -> None:
    offsets = Offsets()
    offsets.sought(PLACE, 5)
    offsets.fetched(PLACE, [5, 6, 7], start=5)
    assert offsets.take(PLACE, 5)
    offsets.sought(PLACE, 5)
    offsets.fetched(PLACE, [5, 6, 7], start=5)
    assert [offsets.take(PLACE, offset) for offset in (5, 6, 7)] == [True, True, True]


def test_what_was_taken_before_a_seek_back_is_no_reason_to_stop() -> None:
    """At the end of a recovery Faust reads on, and then seeks to the committed offsets."""
    offsets = Offsets()
    offsets.sought(PLACE, 5)
    offsets.fetched(PLACE, [5, 6, 7, 8], start=5)
    assert offsets.take(PLACE, 5)
    offsets.sought(PLACE, 5)
    offsets.fetched(PLACE, [8], start=8)
    assert offsets.take(PLACE, 6)
    assert offsets.settled(PLACE, 5, {5}) == 6


def test_a_new_topic_begins_anywhere() -> None:
    offsets = Offsets()
    offsets.fetched(PLACE, [9, 10], start=None)
    assert offsets.first(PLACE) == 9
    assert offsets.take(PLACE, 9)
    assert not offsets.take(PLACE, 11)


def test_what_was_read_and_got_lost_around_a_seek_is_not_empty() -> None:
    """Jobs that came while a killed worker recovered were lost so: offsets 5 to 7 here.

    They are read after the seek, their result comes to nobody, and the next fetch reads on behind them.
    """
    offsets = Offsets()
    offsets.sought(PLACE, 5)
    offsets.fetched(PLACE, [8, 9], start=8)
    assert not offsets.take(PLACE, 8), "what stands before it has not come yet"
    assert offsets.settled(PLACE, 5, {8, 9}) == 5
    offsets.fetched(PLACE, [5, 6, 7, 8, 9], start=5)
    assert [offsets.take(PLACE, offset) for offset in range(5, 10)] == [True] * 5


def test_what_the_broker_no_longer_has_is_passed() -> None:
    offsets = Offsets()
    offsets.sought(PLACE, 5)
    offsets.skipped(PLACE, 5, 90)
    offsets.fetched(PLACE, [90], start=90)
    assert offsets.take(PLACE, 90)
    assert offsets.settled(PLACE, 5, {90}) == 91


def test_a_transactions_marker_before_the_first_message_is_passed() -> None:
    offsets = Offsets()
    offsets.sought(PLACE, 5)
    offsets.fetched(PLACE, [6], start=5)
    assert offsets.take(PLACE, 6)
    assert offsets.settled(PLACE, 5, {6}) == 7
