"""When each scan had its scanner: from its START until what frees the scanner, told by messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Final

from models import wire
from models.base import canonical
from models.events import ScanState as S
from sandbox.chaos.facts import Line
from sandbox.chaos.history import History
from sandbox.chaos.rules.violation import Violation

_OVER: Final = frozenset({S.FAILED, S.HELD, S.CANCELLED})
"""What a device's aggregate says of a scan that no longer has the device."""
_ENDED: Final = frozenset({"FAILED", "ABORTED"})
_ENDING: Final = frozenset({"CANCEL", "STOP"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A scan has its scanner; times in ms."""

    device: str
    record: str
    since: float
    until: float


def spells(history: History) -> dict[str, list[Spell]]:
    """Give the spells of each device, by their begin."""
    freed, begun = _freed(history), _begun(history)
    found: dict[str, list[Spell]] = {}
    for record, begins in begun.items():
        if record not in history.owners:
            continue
        device, until = history.owners[record][0], -1.0
        for since in sorted(begins):
            if since <= until:
                continue  # the same spell: an intent, and its START
            until = min((at for at in freed.get(record, ()) if at >= since), default=inf)
            one = Spell(device=device, record=record, since=since, until=until)
            found.setdefault(device, []).append(one)
    return {device: sorted(one, key=lambda x: x.since) for device, one in found.items()}


def alone(history: History) -> Iterator[Violation]:
    """Never two scans at once: a START comes when the scan before had its data, or its end."""
    for device, several in spells(history).items():
        open_until: dict[str, Spell] = {}
        for spell in several:
            open_until = {r: one for r, one in open_until.items() if one.until > spell.since}
            for other in open_until.values():
                if other.record != spell.record:
                    at = (other.until - spell.since) / 1000
                    when = "was never over" if at == inf else f"was over {at:.2f} s later"
                    yield Violation(
                        rule="alone",
                        sentence=f"{device} was given record {spell.record}, and {other.record} {when}",
                        about=(spell.record, other.record),
                    )
            open_until[spell.record] = spell


def arrivals(history: History) -> dict[str, list[float]]:
    """Give when each record's STARTs came in, ms: a slow device notes later that it took one."""
    asked: dict[str, list[float]] = {}
    for line in history.asked:
        body = line.get("body")
        if "device" in line and isinstance(body, dict):
            asked.setdefault(str(body.get("record_id")), []).append(float(line["wall"]))
    return {
        record: [arrived(start, asked.get(record, ())) * 1000 for start in starts]
        for record, starts in history.starts_of.items()
    }


def arrived(start: Line, asked: "list[float] | tuple[()]") -> float:
    """Give when a START came in, in seconds."""
    at = float(start["wall"])
    return max((t for t in asked if t <= at), default=at)


def _begun(history: History) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for times in (history.intents, arrivals(history)):
        for record, several in times.items():
            found.setdefault(record, []).extend(several)
    return found


def _freed(history: History) -> dict[str, list[float]]:
    """Give when each record's scan gave its scanner free, or may have."""
    found: dict[str, list[float]] = {}
    for message in history.of(wire.RESULT_UPLOADS):
        if not message.mark:
            found.setdefault(canonical(message.json["record_id"]), []).append(message.ms)
    for message in history.of(wire.SCAN_STATUS):
        if not message.mark and message.json.get("state") in _ENDED:
            found.setdefault(canonical(message.json["record_id"]), []).append(message.ms)
    for record, several in history.told.items():
        found.setdefault(record, []).extend(told.ms for told in several if told.state in _OVER)
    for key, commands in history.commands_of.items():
        record = history.record_of.get(key, "")
        # The answer to one that has begun comes when its end is written, and may be late.
        ending = [one for one in commands if one.kind in _ENDING]
        taken = [ms for one in ending for ms in (one.ms, one.taken[0].ms)]
        found.setdefault(record, []).extend(taken)
    return found
