"""No scan is started twice, none in another's place, and each device's in the order of its jobs."""

from collections.abc import Iterator

from models.events import ScanState as S
from sandbox.chaos.history import History, Line
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


def ordered(history: History) -> Iterator[Violation]:
    """Each device met its STARTs in the order in which its jobs were accepted, retries included."""
    owners = {record: key for key, record in history.record_of.items()}
    newest: dict[str, tuple[int, str]] = {}
    requests = _requests(history)

    def arrived(start: Line) -> float:
        """Give when a START came in: a slow device notes that it took it later than that."""
        at = float(start["wall"])
        return max((t for t in requests.get(str(start["record_id"]), ()) if t <= at), default=at)

    for start in sorted(history.starts, key=arrived):
        record = str(start["record_id"])
        job = history.jobs.get(owners.get(record, ("", "")))
        if job is None or job.order is None:
            continue
        device = str(start["device_id"])
        before = newest.get(device)
        if before is not None and job.order < before[0]:
            yield Violation(
                rule="ordered",
                sentence=f"{device} started offset {job.order} after offset {before[0]}",
                about=(job.request_id, record, before[1]),
            )
        if before is None or job.order > before[0]:
            newest[device] = (job.order, record)


def _requests(history: History) -> dict[str, list[float]]:
    """Give when devices were asked to start each record."""
    found: dict[str, list[float]] = {}
    for line in history.asked:
        body = line.get("body")
        if "device" in line and isinstance(body, dict):
            found.setdefault(str(body.get("record_id")), []).append(float(line["wall"]))
    return found
