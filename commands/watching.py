"""What `watch` knows: scans, queues, outages, dead letters, as far as was read. No I/O, no screen."""

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from commands.following import tell
from commands.pace import Pace
from commands.show import printable
from commands.work import DeviceWork, Work
from models import wire
from models.base import canonical
from models.events import EventKind, ScanEvent, ScanState

S = ScanState

MOST_SCANS: Final = 5_000
"""So many scans, and so many that are over, are kept; the oldest are forgotten."""
MOST_DEVICES: Final = 5_000
MOST_OUTAGES: Final = 32
MOST_ENDS: Final = 8
MOST_LETTERS: Final = 5
AT_SCANNER: Final = (S.STARTING, S.STARTED, S.RUNNING, S.UNKNOWN)
_NO_STATE: Final = (EventKind.LATE, EventKind.REPEATED, EventKind.COMMAND_ANSWERED)
"""Events that tell of no change: they make no scan known."""
_CAUSES: Final = frozenset(str(cause) for cause in wire.Cause)


@dataclass(slots=True, kw_only=True)
class Scan:
    """A scan, as its events told."""

    device: str
    request: str
    record: str | None = None
    state: ScanState | None = None
    overdue: str | None = None
    cause: str | None = None
    changed: datetime
    pace: Pace = field(default_factory=Pace)


class LetterSeen(NamedTuple):
    """A dead letter, without anything that its sender wrote."""

    topic: str
    cause: str
    sentence: str


class DeviceSeen(NamedTuple):
    """A device: the scans that are at it, and its queue."""

    name: str
    scans: list[Scan]
    work: DeviceWork

    @property
    def weight(self) -> int:
        """How much there is to see of it: what runs counts more than what waits."""
        held = self.work.hold is not None or self.work.held
        return 3 * len(self.scans or self.work.running) + 2 * len(self.work.waiting) + bool(held)


@dataclass(slots=True)
class Watched:
    """All that is shown."""

    device: str | None = None
    """Only this one, if set."""
    scans: OrderedDict[tuple[str, str], Scan] = field(default_factory=OrderedDict)
    ends: list[Scan] = field(default_factory=list)
    """Those that ended last, in the order of their ends."""
    outages: OrderedDict[str, ScanEvent] = field(default_factory=OrderedDict)
    letters: Counter[str] = field(default_factory=Counter)
    last_letters: deque[LetterSeen] = field(default_factory=lambda: deque(maxlen=MOST_LETTERS))
    work: Work = field(default_factory=Work)
    broker_lost: datetime | None = None
    """Since when the broker does not answer: what is shown may be old."""
    _known: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _over: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)
    _seen: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def take_event(self, value: bytes) -> str | None:
        """Take an event; gives its line, None for a repeat and for what is not watched."""
        try:
            event = ScanEvent.from_bytes(value)
        except ValidationError:
            return None
        # A manager's outage concerns all devices.
        watched = self.device in (None, event.device_id) or event.manager is not None
        if event.event_id in self._seen or not watched:
            return None
        _keep(self._seen, event.event_id, None, 4 * MOST_SCANS)
        if event.manager is not None:
            self._take_outage(event.manager, event)
        elif event.request_id is not None and event.device_id is not None:
            _keep(self._known, event.device_id, None, MOST_DEVICES)
            self._take_scan((event.device_id, event.request_id), event)
        return line(event)

    def take_letter(self, key: str, headers: Mapping[str, str]) -> str | None:
        """Take a dead letter's key and headers; gives its line."""
        topic, cause, sentence = (
            headers.get(name, "?") for name in (wire.DEAD_TOPIC, wire.DEAD_CAUSE, wire.DEAD_MESSAGE)
        )
        if self.device not in (None, key):
            return None
        self.letters[cause if cause in _CAUSES else "other"] += 1
        self.last_letters.append(LetterSeen(topic, cause, sentence))
        return printable(f"dead letter of {topic} ({cause}): {sentence}")

    def devices(self) -> list[DeviceSeen]:
        """Give all devices, those with most to see first; idle ones last."""
        at_scanner: dict[str, list[Scan]] = {}
        for scan in self.scans.values():
            if scan.state in AT_SCANNER:
                at_scanner.setdefault(scan.device, []).append(scan)
        names = {name for name in self.work.devices if self.device in (None, name)}
        names |= at_scanner.keys() | self._known.keys()
        found = [
            DeviceSeen(name, at_scanner.get(name, []), self.work.devices.get(name, DeviceWork()))
            for name in names
        ]
        return sorted(found, key=lambda device: (-device.weight, device.name))

    def running(self, device: str) -> list[Scan]:
        """Give the scans that are at a scanner."""
        return [scan for one in self.devices() if one.name == device for scan in one.scans]

    def unknown(self) -> list[Scan]:
        """Give the scans of which nobody knows whether they were started."""
        return [scan for scan in self.scans.values() if scan.state is S.UNKNOWN]

    def overdue(self) -> list[Scan]:
        """Give the scans that are overdue."""
        return [scan for scan in self.scans.values() if scan.overdue]

    def _take_outage(self, manager: str, event: ScanEvent) -> None:
        if event.state is S.WAITING:
            _keep(self.outages, manager, event, MOST_OUTAGES)
        else:
            self.outages.pop(manager, None)

    def _take_scan(self, key: tuple[str, str], event: ScanEvent) -> None:
        scan = self.scans.get(key)
        if key in self._over or (scan is None and event.event in _NO_STATE):
            return
        if scan is None:
            scan = Scan(device=key[0], request=key[1], changed=event.at)
            _keep(self.scans, key, scan, MOST_SCANS)
        if event.record_id is not None:
            scan.record = canonical(event.record_id)
        elif scan.record is not None and not (event.state and event.state.final):
            # Before its record a scan's events have another key: they may be read after the others.
            return
        if event.event is EventKind.OVERDUE:
            scan.overdue = event.cause or "overdue"
            scan.state = scan.state or event.state  # it began before we looked
        elif event.event is EventKind.PROGRESS:
            scan.overdue = None
            scan.state = scan.state or event.state
            if event.percent is not None:
                scan.pace.reach(event.at, event.percent)
        elif event.event is EventKind.STATE_CHANGED and event.state is not None:
            self._move(key, scan, event, event.state)

    def _move(self, key: tuple[str, str], scan: Scan, event: ScanEvent, state: ScanState) -> None:
        scan.overdue = None
        scan.state, scan.changed, scan.cause = state, event.at, event.cause
        if state is S.RUNNING:
            scan.pace.begin(event.at)
        elif state in (S.READY, S.STARTING):
            scan.pace = Pace()  # an attempt before may have had one
        if state.final:
            self.scans.pop(key, None)
            _keep(self._over, key, None, MOST_SCANS)
            self.ends = sorted([*self.ends, scan], key=lambda one: one.changed)[-MOST_ENDS:]


def line(event: ScanEvent) -> str:
    """Write an event as a line: when, of what, and what happened."""
    if event.manager is not None:
        which, what = event.manager, event.cause or "?"
    else:
        record = "" if event.record_id is None else f"record {canonical(event.record_id)}"
        parts = [event.device_id or "", record or (event.request_id or "")]
        which, what = " ".join(part for part in parts if part), tell(event)
    return printable(f"{event.at:%H:%M:%S}  {which}  {what}")


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Keep something as the newest, and forget the oldest."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
