"""The guard against zombies: a worker that was away for too long must not act any more.

Monotonic time since the last good heartbeat above 0.7 of the session means that the broker may
give our partitions to another worker at any moment. Changelogs know no fencing: one late write
could bring a final state back. So the process ends at once (exit code 70), without a word to
anybody; a kill loses nothing. It stands in the producer's send path and directly before each request
that is not idempotent. tests/unit/test_streams_guard.py; with SIGSTOP in tests/integration.
"""

import logging
import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn

EXIT_FATAL: Final = 70
SHARE_OF_SESSION: Final = 0.7

log = logging.getLogger(__name__)


def stop_now(sentence: str, code: int = EXIT_FATAL) -> NoReturn:
    """End the process at once with a sentence: no clean-up that could write or send something."""
    log.critical("%s", sentence)
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stderr.write(f"scanhub: {sentence}\n")
    sys.stderr.flush()
    os._exit(code)


class Guard:
    """Knows when the last heartbeat was good; `check` ends the process if too long ago."""

    def __init__(
        self,
        session_s: float,
        monotonic: Callable[[], float],
        stop: Callable[[str], None] = stop_now,
    ) -> None:
        self.limit_s = session_s * SHARE_OF_SESSION
        self._monotonic = monotonic
        self._stop = stop
        self._last: float | None = None

    def beat(self) -> None:
        """Note a good heartbeat, or that the group was joined."""
        self._last = self._monotonic()

    def suspend(self) -> None:
        """Note that we own nothing (before the first assignment, or while the group rebalances)."""
        self._last = None

    @property
    def age_s(self) -> float | None:
        """Seconds since the last good heartbeat; None while nothing is owned."""
        return None if self._last is None else self._monotonic() - self._last

    def check(self) -> None:
        """Go on only if the broker surely still counts us in."""
        age = self.age_s
        if age is not None and age > self.limit_s:
            self._stop(
                f"no heartbeat for {age:.1f} s (limit {self.limit_s:.1f} s):"
                " another worker may own our partitions, so this one stops (exit code 70)"
            )
