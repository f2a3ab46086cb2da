"""How long partitions were silent: plain functions of times."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise


def longest_gap(moments: Sequence[float], since: float, until: float) -> float:
    """Give the longest time without any of the moments (sorted), from `since` to `until`."""
    inside = moments[bisect_left(moments, since) : bisect_right(moments, until)]
    return max(b - a for a, b in pairwise([since, *inside, until]))


def pauses(
    tasks_of: Mapping[int, Sequence[float]],
    *,
    moved: Iterable[int],
    struck: Iterable[int],
    since: float,
    until: float,
) -> dict[str, float | None]:
    """Give the longest silences, s: of all partitions at once, of the worst one, and of kinds.

    `tasks_of` has the times of each partition's device tasks. `moved`: those that changed hands;
    `struck`: those of the worker that something was done to. All others are those that stayed.
    """
    together = sorted(moment for moments in tasks_of.values() for moment in moments)
    gaps = {n: longest_gap(moments, since, until) for n, moments in tasks_of.items()}
    changed, hit = set(moved), set(struck)
    return {
        "all_together_s": round(longest_gap(together, since, until), 2),
        "worst_partition_s": _worst(gaps.values()),
        "worst_that_moved_s": _worst(gap for n, gap in gaps.items() if n in changed),
        "worst_of_the_struck_s": _worst(gap for n, gap in gaps.items() if n in hit),
        "worst_that_stayed_s": _worst(gap for n, gap in gaps.items() if n not in changed | hit),
    }


def _worst(gaps: Iterable[float]) -> float | None:
    found = list(gaps)
    return round(max(found), 2) if found else None
