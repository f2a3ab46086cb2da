"""What `watch` knows: scans, queues, outages, dead letters, as far as was read. No I/O, no screen."""

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from pydantic import ValidationError

from commands.following import tell
from commands.show import printable
from commands.work import Work
from models import wire
from models.base import canonical
from models.events import EventKind, ScanEvent, ScanState

S = ScanState

MOST_SCANS: Final = 5_000
"""So many scans are kept; the oldest are forgotten, ended ones first."""
MOST_ENDS: Final = 8
MOST_LETTERS: Final = 5
AT_SCANNER: Final = (S.STARTING, S.STARTED, S.RUNNING, S.UNKNOWN)


@dataclass(slots=True, kw_only=True)
class Scan:
    """A scan, as its events told."""

    device: str
    request: str
    record: str | None = None
    state: ScanState | None = None
    percent: int | None = None
    overdue: str | None = None
    place: int | None = None
    cause: str | None = None
    changed: datetime
    running_since: datetime | None = None
    heard: datetime

    def remaining(self, now: datetime) -> timedelta | None:
        """Estimate the time that a running scan still takes, by its percent and its time so far."""
        if self.running_since is None or not self.percent or self.state is not S.RUNNING:
            return None
        took = self.heard - self.running_since
        left = took * (100 - self.percent) / self.percent - (now - self.heard)
        return max(left, timedelta())


class LetterSeen(NamedTuple):
    """A dead letter, without anything that its sender wrote."""

    topic: str
    cause: str
    sentence: str


@dataclass(slots=True)
class Watched:
    """All that is shown."""

    device: str | None = None
    """Only this one, if set."""
    scans: OrderedDict[tuple[str, str], Scan] = field(default_factory=OrderedDict)
    ends: deque[Scan] = field(default_factory=lambda: deque(maxlen=MOST_ENDS))
    outages: dict[str, ScanEvent] = field(default_factory=dict)
    letters: Counter[str] = field(default_factory=Counter)
    last_letters: deque[LetterSeen] = field(default_factory=lambda: deque(maxlen=MOST_LETTERS))
    work: Work = field(default_factory=Work)
    _seen: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def take_event(self, value: bytes) -> str | None:
        """Take an event; gives its line, None for a repeat and for what is not watched."""
        try:
            event = ScanEvent.from_bytes(value)
        except ValidationError:
            return None
        if event.event_id in self._seen or self.device not in (None, event.device_id):
            return None
        self._seen[event.event_id] = None
        if len(self._seen) > 4 * MOST_SCANS:
            self._seen.popitem(last=False)
        if event.manager is not None:
            self._take_outage(event.manager, event)
        elif event.request_id is not None and event.device_id is not None:
            self._take_scan(event, event.device_id, event.request_id)
        return line(event)

    def take_letter(self, headers: Mapping[str, str]) -> str | None:
        """Take a dead letter's headers; gives its line."""
        topic, cause, sentence = (
            headers.get(name, "?") for name in (wire.DEAD_TOPIC, wire.DEAD_CAUSE, wire.DEAD_MESSAGE)
        )
        if self.device is not None:
            return None
        self.letters[cause] += 1
        self.last_letters.append(LetterSeen(topic, cause, sentence))
        return printable(f"dead letter of {topic} ({cause}): {sentence}")

    def running(self, device: str) -> list[Scan]:
        """Give the scans that are at a scanner."""
        return [
            scan
            for (name, _), scan in self.scans.items()
            if name == device and scan.state in AT_SCANNER
        ]

    def devices(self) -> list[str]:
        """Give the names of all devices with something to show, the busiest first."""
        busy: Counter[str] = Counter()
        for (name, _), scan in self.scans.items():
            busy[name] += 3 if scan.state in AT_SCANNER else 1
        for name, work in self.work.devices.items():
            if self.device in (None, name):
                busy[name] += 2 * len(work.waiting) + 3 * len(work.running) + 1
        return [name for name, _ in sorted(busy.items(), key=lambda item: (-item[1], item[0]))]

    def overdue(self) -> list[Scan]:
        """Give the scans that are overdue."""
        return [scan for scan in self.scans.values() if scan.overdue]

    def _take_outage(self, manager: str, event: ScanEvent) -> None:
        if event.state is S.WAITING:
            self.outages[manager] = event
        else:
            self.outages.pop(manager, None)

    def _take_scan(self, event: ScanEvent, device: str, request: str) -> None:
        key = (device, request)
        scan = self.scans.get(key)
        if scan is None:
            if event.event in (EventKind.LATE, EventKind.REPEATED, EventKind.COMMAND_ANSWERED):
                return
            scan = self.scans[key] = Scan(
                device=device, request=request, changed=event.at, heard=event.at
            )
        scan.heard = max(scan.heard, event.at)
        if event.record_id is not None:
            scan.record = canonical(event.record_id)
        if event.event is EventKind.OVERDUE:
            scan.overdue = event.cause or "overdue"
        elif event.event is EventKind.PROGRESS:
            scan.overdue = None
            scan.percent = event.percent if event.percent is not None else scan.percent
            scan.place = event.count if event.state is S.QUEUED else None
        elif event.event is EventKind.STATE_CHANGED and event.state is not None:
            self._move(key, scan, event, event.state)
        self._forget()

    def _move(self, key: tuple[str, str], scan: Scan, event: ScanEvent, state: ScanState) -> None:
        scan.overdue = None
        scan.state, scan.changed, scan.cause = state, event.at, event.cause
        scan.place = event.count if state is S.QUEUED else None
        if state is S.RUNNING:
            scan.running_since = event.at
        if state.final:
            self.ends.append(scan)
            self.scans.pop(key, None)

    def _forget(self) -> None:
        while len(self.scans) > MOST_SCANS:
            self.scans.popitem(last=False)


def line(event: ScanEvent) -> str:
    """Write an event as a line: when, of what, and what happened."""
    if event.manager is not None:
        which, what = event.manager, event.cause or "?"
    else:
        record = "" if event.record_id is None else f"record {canonical(event.record_id)}"
        parts = [event.device_id or "", record or (event.request_id or "")]
        which, what = " ".join(part for part in parts if part), tell(event)
    return printable(f"{event.at:%H:%M:%S}  {which}  {what}")
