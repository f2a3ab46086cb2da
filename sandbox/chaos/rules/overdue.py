"""OVERDUE: announced where nothing came of a scan for too long, only there, and once."""

from collections.abc import Iterator
from typing import Final

from models import wire
from models.base import canonical
from models.events import ScanState as S
from sandbox.chaos.facts import Event
from sandbox.chaos.history import History
from sandbox.chaos.limits import FIRST_STATUS_S, LEASE_S, RECONSTRUCTION_S, SILENCE_S
from sandbox.chaos.rules.spells import spells
from sandbox.chaos.rules.striking import struck
from sandbox.chaos.rules.violation import Violation

LIMITS: Final = {
    S.STARTING: FIRST_STATUS_S,
    S.UNKNOWN: FIRST_STATUS_S,
    S.STARTED: FIRST_STATUS_S,
    S.RUNNING: SILENCE_S,
    S.ACQUIRED: RECONSTRUCTION_S,
    S.RECONSTRUCTING: RECONSTRUCTION_S,
}
_AT_DEVICE: Final = frozenset({S.STARTING, S.UNKNOWN, S.STARTED, S.RUNNING})
_LEASE: Final = "it holds its device for"
_BROKER: Final = frozenset({"broker-kill", "broker-freeze-short", "broker-freeze-long"})
_SLACK_MS: Final = 1_000
"""Between a message's time and its handling; the limits count from that."""


def overdue(history: History) -> Iterator[Violation]:
    """See that each OVERDUE is one: nothing came within the limit, and it is announced once."""
    signs = _signs(history)
    for record, told in _told(history).items():
        silent = [one for one in told if not str(one.fields.get("cause")).startswith(_LEASE)]
        for number, event in enumerate(silent):
            about = (str(event.fields.get("request_id")), record)
            before = silent[number - 1] if number else None
            again = before is not None and before.state == event.state
            since = before.ms if before is not None else 0
            if again and not any(since <= ms < event.ms for ms in signs[record]):
                sentence = f"announced as OVERDUE in {event.state} again, and nothing came"
                yield Violation(rule="overdue", sentence=sentence, about=about)
            since_ms = event.ms - LIMITS[S(event.state)] * 1000 + _SLACK_MS
            fresh = [ms for ms in _that_count(history, record, event, signs) if ms > since_ms]
            if fresh and not struck(history, fresh[-1] / 1000 - 1, event.ms / 1000, _BROKER):
                after = (event.ms - fresh[-1]) / 1000
                sentence = f"OVERDUE in {event.state}, {after:.1f} s after a sign of it"
                yield Violation(rule="overdue", sentence=sentence, about=about)


def leased(history: History) -> Iterator[Violation]:
    """See that no scan is said to hold its device for too long before it does."""
    having = spells(history)
    for record, told in _told(history).items():
        for event in told:
            if not str(event.fields.get("cause")).startswith(_LEASE):
                continue
            device = str(event.fields.get("device_id"))
            since = [one.since for one in having.get(device, ()) if one.record == record]
            if not since or event.ms - min(since) < LEASE_S * 1000 - _SLACK_MS:
                sentence = "OVERDUE at its device before its lease was over"
                about = (str(event.fields.get("request_id")), record)
                yield Violation(rule="overdue", sentence=sentence, about=about)


def unseen(history: History) -> Iterator[Violation]:
    """See that a scan of which nothing comes any more is at an end, or OVERDUE."""
    told, signs = _told(history), _signs(history)
    rest = [float(line["wall"]) * 1000 for line in history.runner if line["what"] == "at-rest"]
    for record, key in history.owners.items():
        state = history.changes[key][-1].state
        if state not in LIMITS or not rest or record in told:
            continue
        silent_ms = rest[-1] - max(signs[record])
        if silent_ms > 2000 * LIMITS[S(state)]:
            sentence = f"{state} and silent for {silent_ms / 1000:.0f} s, and never OVERDUE"
            yield Violation(rule="overdue", sentence=sentence, about=(key[1], record))


def _told(history: History) -> dict[str, list[Event]]:
    """Give what was announced as OVERDUE of each record once it was begun, by time."""
    found: dict[str, list[Event]] = {}
    for event in history.events:
        if event.kind == "OVERDUE" and event.record is not None and event.state in LIMITS:
            found.setdefault(event.record, []).append(event)
    return found


def _signs(history: History) -> dict[str, list[float]]:
    """Give when anything came of each record: from its scanner, or a change of its state."""
    found: dict[str, list[float]] = {record: [] for record in history.owners}
    for topic in (wire.SCAN_STATUS, wire.RESULT_UPLOADS, wire.RECO_RESULTS):
        for message in history.of(topic):
            if not message.mark:
                record = canonical(message.json["record_id"])
                found.setdefault(record, []).append(message.ms)
    for record, key in history.owners.items():
        found[record] += [change.ms for change in history.changes[key]]
        found[record].sort()
    return found


def _that_count(
    history: History, record: str, event: Event, signs: dict[str, list[float]]
) -> list[float]:
    """Give the signs before an OVERDUE that begin its limit anew: of a reconstruction, changes only."""
    if event.state in _AT_DEVICE:
        return [ms for ms in signs[record] if ms < event.ms - _SLACK_MS]
    changes = history.changes[history.owners[record]]
    return [change.ms for change in changes if change.ms < event.ms - _SLACK_MS]
