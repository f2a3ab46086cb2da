"""Was it as promised? From the scanner's own log and the events. Pure, but for reading the log."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from models.events import FINAL, ScanEvent, ScanState
from sandbox.demo.scan import Scan
from sandbox.demo_queue.plan import ENDS, ORDER

_FREES: Final = (ScanState.ACQUIRED, *FINAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A START that the scanner took."""

    request_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known at the end."""

    scans: Mapping[str, Scan]
    starts: Sequence[Start]
    outages: Sequence[ScanEvent]
    """What was announced of managers."""
    sent_again: frozenset[str] = frozenset()
    """Jobs of which a person said that they were not started: those are sent once more."""

    @property
    def lost(self) -> list[str]:
        """Jobs without an end that a person could see."""
        return [name for name, scan in self.scans.items() if not (scan.state and scan.state.final)]

    @property
    def twice(self) -> list[str]:
        """Jobs that were started more often than somebody asked for."""
        times = Counter(start.request_id for start in self.starts)
        return [name for name, count in times.items() if count > 1 + (name in self.sent_again)]

    @property
    def at_once(self) -> list[tuple[str, str]]:
        """Scans that the scanner was told to start while it still measured another one."""
        found = []
        for before, after in pairwise(sorted(self.starts, key=lambda start: start.at)):
            if before.request_id == after.request_id:
                continue
            over = _over(self.scans.get(before.request_id))
            if over is None or after.at < over:
                found.append((after.request_id, before.request_id))
        return found

    def count(self, state: ScanState) -> int:
        """Count the jobs that ended so."""
        return sum(scan.state is state for scan in self.scans.values())


def read_starts(log: Path) -> list[Start]:
    """Read what the scanner wrote down of each START that it took."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [
        Start(request_id=str(told["request_id"]), at=datetime.fromtimestamp(told["wall"], UTC))
        for told in map(json.loads, lines)
    ]


def problems(facts: Facts) -> list[str]:
    """Say, in a sentence each, what is not as promised."""
    found = []
    for name, end in ENDS.items():
        state = facts.scans[name].state
        if name in facts.lost:
            found.append(f"{name} has no end: it is {state or 'unknown to everybody'}")
        elif state is not end:
            found.append(f"{name} is {state}, not {end}: {facts.scans[name].cause or 'no cause'}")
    found += [f"{name} was started twice" for name in facts.twice]
    found += [f"{one} was started while {other} was measured" for one, other in facts.at_once]
    order = list(dict.fromkeys(start.request_id for start in facts.starts))
    if order != list(ORDER):
        found.append(f"the scanner took {', '.join(order) or 'nothing'}, not {', '.join(ORDER)}")
    told = [event.state for event in facts.outages]
    if told != [ScanState.WAITING, ScanState.ACCEPTED]:
        states = ", ".join(map(str, told)) or "nothing"
        found.append(f"of managers was announced: {states}; not one outage and its end")
    return found


def summary(facts: Facts, wrong: Sequence[str], events: int, logs: Path) -> str:
    """Say in one line how it went, and what was looked at."""
    again = ", ".join(sorted(facts.sent_again & {start.request_id for start in facts.starts}))
    asked = f" by itself ({again} once more, on a person's word)" if again else ""
    times = f"{len(facts.at_once)} times" if facts.at_once else "never"
    counts = (
        f"{facts.count(ScanState.COMPLETED)} completed, {facts.count(ScanState.CANCELLED)} cancelled,"
        f" {len(facts.lost)} lost, {len(facts.twice)} started twice{asked},"
        f" {times} two scans at once"
    )
    looked = f"{len(facts.starts)} STARTs in the scanner's own log, {events} events"
    if wrong:
        return f"demo-queue: {counts}: not as promised, see {logs} (checked: {looked})"
    return f"demo-queue: {counts}; checked: order and times of {looked}, one outage told once"


def _over(scan: Scan | None) -> datetime | None:
    """Give when a scan was over at its scanner."""
    times = [] if scan is None else [scan.times[s] for s in _FREES if s in scan.times]
    return min(times, default=None)
