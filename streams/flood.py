"""A flood of one kind is told a few times, then counted: nothing is dropped but lines of a log."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MOST_LINES: Final = 5
WINDOW_S: Final = 60.0

Subject = tuple[str, ...]
"""What is one kind. Of names of ours only, so that there are few."""


@dataclass(slots=True)
class _Window:
    ends_s: float
    told: int = 0
    left_out: int = 0


class Flood:
    """Says what may be told; knows no clock, so each call says what time it is (monotonic, s)."""

    def __init__(self, *, most: int = MOST_LINES, window_s: float = WINDOW_S) -> None:
        self._most = most
        self._window_s = window_s
        self._windows: dict[Subject, _Window] = {}

    def take(self, subject: Subject, now_s: float) -> bool:
        """Count one, and tell whether it may be told. What `over` has to say comes before it."""
        window = self._windows.setdefault(subject, _Window(now_s + self._window_s))
        if window.told < self._most:
            window.told += 1
            return True
        window.left_out += 1
        return False

    def over(self, now_s: float) -> Iterator[tuple[Subject, int]]:
        """Close the windows whose time is over; give how many were left out, where some were."""
        for subject, window in list(self._windows.items()):
            if window.ends_s <= now_s:
                del self._windows[subject]
                if window.left_out:
                    yield subject, window.left_out

    def wait_s(self, now_s: float) -> float | None:
        """Give how long until `over` has something to say; None if nothing was left out."""
        ends = [window.ends_s for window in self._windows.values() if window.left_out]
        return max(min(ends) - now_s, 0.0) if ends else None
