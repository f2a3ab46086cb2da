"""Time: broker time for ages, monotonic time for intervals, wall time only for what people read."""

import time
from datetime import UTC, datetime
from typing import Final

DAY_MS: Final = 86_400_000
_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", None)


class Clock:
    """The worker's clocks. Tests and chaos runs step the wall clock by `offset_s`."""

    def __init__(self, *, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s
        self._broker_ahead_ms: float | None = None

    def monotonic(self) -> float:
        """Seconds that also count while the machine sleeps (CLOCK_BOOTTIME), where there is one.

        A worker that was suspended with its machine is as much a zombie as one that was stopped.
        """
        return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)

    def wall(self) -> datetime:
        """Give the time for people: events and logs. No decision rests on it."""
        return datetime.fromtimestamp(time.time() + self.offset_s, UTC)

    def observe_broker(self, timestamp_ms: int) -> None:
        """Take the broker's LogAppendTime of a message that was acknowledged just now."""
        self._broker_ahead_ms = timestamp_ms - self.monotonic() * 1000

    def broker_ms(self) -> int:
        """Estimate the broker's time now, in ms since 1970.

        It is the last LogAppendTime seen and the monotonic time since: a wrong clock of this
        machine does no harm. Before anything was sent there is only the wall clock.
        """
        if self._broker_ahead_ms is None:
            return int((time.time() + self.offset_s) * 1000)
        return int(self._broker_ahead_ms + self.monotonic() * 1000)
