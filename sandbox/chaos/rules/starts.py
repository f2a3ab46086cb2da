"""No scan is started twice, none in another's place."""

from collections.abc import Iterator

from models.events import ScanState as S
from sandbox.chaos.history import History
from sandbox.chaos.rules.violation import Violation


def started(history: History) -> Iterator[Violation]:
    """At most one START for a record, at its own device; exactly one where it was COMPLETED."""
    owners = {record: key for key, record in history.record_of.items()}
    for record, starts in history.starts_of.items():
        key = owners.get(record)
        about = (record, key[1] if key else "")
        if len(starts) > 1:
            sentence = f"record {record} was started {len(starts)} times"
            yield Violation(rule="started", sentence=sentence, about=about)
        if key is None:
            sentence = f"record {record} was started, and no event names it"
            yield Violation(rule="started", sentence=sentence, about=about)
        elif any(start["device_id"] != key[0] for start in starts):
            sentence = f"record {record} of {key[0]} was started at another device"
            yield Violation(rule="started", sentence=sentence, about=about)


def agreed(history: History) -> Iterator[Violation]:
    """Compare what was announced of STARTs with what the devices know of them."""
    for key, changes in history.changes.items():
        record = history.record_of.get(key, "")
        count, last = len(history.starts_of.get(record, [])), changes[-1]
        about = (key[1], record)
        states = {event.state for event in changes}
        cause = str(last.fields.get("cause") or "")
        if last.state == S.COMPLETED and count == 0:
            sentence = "COMPLETED, and no device was ever started"
            yield Violation(rule="started", sentence=sentence, about=about)
        not_started = S.STARTING not in states or "(not started)" in cause
        if last.state == S.FAILED and not_started and count > 0:
            sentence = "FAILED before its start, and a device was started all the same"
            yield Violation(rule="started", sentence=sentence, about=about)
        if last.state == S.HELD and count > 0:
            sentence = "HELD, and a device was started all the same"
            yield Violation(rule="started", sentence=sentence, about=about)
        if last.state == S.CANCELLED and S.STARTING not in states and count > 0:
            sentence = "CANCELLED before its start, and a device was started all the same"
            yield Violation(rule="started", sentence=sentence, about=about)
