"""How long a running scan still takes, by what its device said of it. Plain arithmetic, no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

NEWEST: Final = 0.5
"""How much the newest estimate counts against those before: devices report in leaps."""
WHOLE: Final = 100
SOON: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Pace:
    """A scan's percents, and when its end is to be expected."""

    began: datetime | None = None
    at_first: int = 0
    percent: int | None = None
    end: datetime | None = None

    def begin(self, at: datetime) -> None:
        """Take the moment at which the scan began to run; what an attempt before said is forgotten."""
        self.began, self.at_first, self.percent, self.end = at, 0, None, None

    def reach(self, at: datetime, percent: int) -> None:
        """Take a percent; a lower one than before is older news."""
        if self.percent is not None and percent <= self.percent:
            return
        self.percent = percent
        if self.began is None or at - self.began < SOON:
            # It ran before we looked; or the report that told of its beginning had a percent as well.
            self.began, self.at_first = at, percent
            return
        if percent == WHOLE or percent <= self.at_first:
            self.end = at if percent == WHOLE else None
            return
        guess = at + (at - self.began) * (WHOLE - percent) / (percent - self.at_first)
        self.end = guess if self.end is None else self.end + (guess - self.end) * NEWEST

    def left(self, now: datetime) -> timedelta | None:
        """Say how long it still takes: counts down between reports, and is never less than nothing."""
        return None if self.end is None else max(self.end - now, timedelta())
