"""What was fetched and got lost is read again, a few times, and only while it stands still."""

from collections.abc import Hashable

import streams.lost as module
from streams.lost import MOST, PATIENCE_S, WHOLE, Advice

PLACE = ("scan-jobs", 0)


class Lost(module.Lost):
    """Looked at by a consumer that gives out whole fetches all the time."""

    looks = 0

    def look(
        self,
        place: Hashable,
        base: int,
        *,
        stands: bool,
        now: float,
        rounds: int | None = None,
    ) -> Advice:
        self.looks += WHOLE
        given = self.looks if rounds is None else rounds
        return super().look(place, base, stands=stands, rounds=given, now=now)


def test_what_stands_still_is_read_again_after_a_while() -> None:
    lost = Lost()
    assert lost.look(PLACE, 7, stands=True, now=100.0) is Advice.NOTHING
    assert lost.look(PLACE, 7, stands=True, now=100.0 + PATIENCE_S / 2) is Advice.NOTHING
    assert lost.look(PLACE, 7, stands=True, now=100.0 + PATIENCE_S) is Advice.READ_AGAIN


def test_what_is_in_hands_or_not_fetched_yet_does_not_stand() -> None:
    lost = Lost()
    lost.look(PLACE, 7, stands=True, now=100.0)
    assert lost.look(PLACE, 7, stands=False, now=200.0) is Advice.NOTHING
    assert lost.look(PLACE, 7, stands=True, now=200.1) is Advice.NOTHING, "its time counts anew"


def test_a_place_that_goes_on_is_left_alone() -> None:
    lost = Lost()
    for second in range(100):
        assert lost.look(PLACE, second, stands=True, now=float(second)) is Advice.NOTHING


def test_reading_again_in_vain_ends_the_worker() -> None:
    lost, now, seen = Lost(), 0.0, []
    while Advice.STOP not in seen:
        now += 1.0
        advice = lost.look(PLACE, 7, stands=True, now=now)
        if advice is not Advice.NOTHING:
            seen.append(advice)
            # Read again: for a moment it is not fetched yet.
            lost.look(PLACE, 7, stands=False, now=now)
    assert seen == [Advice.READ_AGAIN] * MOST + [Advice.STOP]


def test_places_are_told_apart_and_forgotten() -> None:
    lost, other = Lost(), ("scan-jobs", 1)
    lost.look(PLACE, 7, stands=True, now=0.0)
    lost.look(other, 7, stands=True, now=PATIENCE_S)
    assert lost.look(PLACE, 7, stands=True, now=PATIENCE_S) is Advice.READ_AGAIN
    lost.clear()
    assert lost.look(other, 7, stands=True, now=9 * PATIENCE_S) is Advice.NOTHING


def test_what_a_fetch_still_holds_is_not_lost_however_long_that_takes() -> None:
    lost = Lost()
    for second in range(600):
        advice = lost.look(PLACE, 7, stands=True, now=float(second), rounds=5)
        assert advice is Advice.NOTHING
    assert lost.look(PLACE, 7, stands=True, now=601.0, rounds=6) is Advice.NOTHING
    assert lost.look(PLACE, 7, stands=True, now=602.0, rounds=7) is Advice.READ_AGAIN
