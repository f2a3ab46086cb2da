"""HELD and holds: each has a reason that can be seen, and nothing is started while it lasts."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Final

from models.events import ScanState as S
from sandbox.chaos.facts import Event, Key
from sandbox.chaos.history import History
from sandbox.chaos.limits import MAX_AGE_S
from sandbox.chaos.rules.spells import arrivals
from sandbox.chaos.rules.violation import Violation

_HOLDING: Final = frozenset({"HOLD", "PAUSE"})
_FREEING: Final = frozenset({"RELEASE", "RESUME", "CANCEL", "STOP"})
_RENEWING: Final = frozenset({"RELEASE", "RESUME", "CONFIRM"})
"""What a person sends to a scan to have it started now, whatever its age."""
_SLACK_MS: Final = 1_000
_LATEST_MS: Final = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A device, or a job, is on hold for sure; times in ms. `asked`: when that was answered first."""

    asked: float
    since: float
    until: float
    last: float
    """When its end was answered for the last time."""


def holds(history: History) -> dict[str, list[Hold]]:
    """Give the holds of devices.

    The answer comes before the deed, and a crash between them repeats both: the last answer counts.
    """
    found: dict[str, list[Hold]] = {}
    for device in {command.device for command in history.commands.values()}:
        told = [
            (answer.ms, command.kind)
            for command in history.commands.values()
            if command.device == device and command.to_device
            for answer in command.taken
        ]
        if several := _holds(sorted(told), {"HOLD"}, {"RELEASE"}):
            found[device] = several
    return found


def job_holds(history: History, key: Key) -> list[Hold]:
    """Give when a job was on hold by a person's word."""
    told = [
        (answer.ms, command.kind)
        for command in history.commands_of.get(key, ())
        for answer in command.taken
    ]
    return _holds(sorted(told), _HOLDING, _FREEING)


def _holds(
    told: list[tuple[int, str]],
    holding: "set[str] | frozenset[str]",
    freeing: "set[str] | frozenset[str]",
) -> list[Hold]:
    found: list[Hold] = []
    asked = since = until = last = None
    for ms, kind in told:
        if kind in holding:
            if until is not None and asked is not None and since is not None and last is not None:
                found.append(Hold(asked=asked, since=since, until=until, last=last))
                asked = until = None
            asked, since = (ms if asked is None else asked), ms
        elif kind in freeing and asked is not None:
            until, last = (ms if until is None else until), ms
    if asked is not None and since is not None:
        end = (inf, inf) if until is None or last is None else (until, last)
        found.append(Hold(asked=asked, since=since, until=end[0], last=end[1]))
    return found


def held(history: History) -> Iterator[Violation]:
    """HELD only where a job is too old by the broker's clock (promise 9), or a person said so."""
    devices = holds(history)
    for key, causes in _causes(history).items():
        changes = history.changes[key]
        for event in causes:
            before = max((one.ms for one in changes if one.ms < event.ms), default=event.ms)
            # Its record may announce much later what its device's aggregate told.
            told = [one for one in history.told.get(event.record or "", ()) if one.ms <= event.ms]
            before = min([before, *[one.ms for one in told if one.state == S.HELD][-1:]])
            problem = _no_reason(history, key, event, before, devices.get(key[0], []))
            if problem:
                about = (key[1], event.record or "")
                yield Violation(rule="held", sentence=problem, about=about)


def _causes(history: History) -> dict[Key, list[Event]]:
    """Give the events that told why a job is HELD; the reason may change, and it is OVERDUE then."""
    found: dict[Key, list[Event]] = {}
    for event in history.events:
        key = (str(event.fields.get("device_id")), str(event.fields.get("request_id")))
        if event.state == S.HELD and event.kind in ("STATE_CHANGED", "OVERDUE"):
            found.setdefault(key, []).append(event)
    return {key: several for key, several in found.items() if key in history.changes}


def _no_reason(
    history: History, key: Key, event: Event, before: int, devices: list[Hold]
) -> str | None:
    cause, job = str(event.fields.get("cause") or ""), history.jobs.get(key)
    if cause == "older than START_MAX_AGE":
        age = event.ms - _renewed(history, key, event.ms)
        if job is not None and age < MAX_AGE_S * 1000 - _SLACK_MS:
            return f"HELD at the age of {age / 1000:.1f} s"
        return None
    if cause == "its device is on hold":
        on = any(hold.asked <= event.ms and hold.last >= before for hold in devices)
        return None if on else "HELD with its device, which was not on hold"
    commands = [one for one in history.commands_of.get(key, ()) if one.taken[0].ms <= event.ms]
    if cause.startswith("held by a person"):
        asked = any(one.kind in _HOLDING for one in commands)
        return None if asked else "held by a person, and nobody asked for it"
    if cause == "it is not yet its turn":
        asked = any(one.kind in _RENEWING for one in commands)
        return None if asked else "HELD until its turn, and nobody had released it"
    return f"HELD for a reason that no rule knows: {cause}"


def _renewed(history: History, key: Key, until: float) -> int:
    """Give the time from which a job's age counts: its arrival, or a person's last word."""
    job = history.jobs.get(key)
    times = [0 if job is None else job.born_ms]
    for command in history.commands_of.get(key, ()):
        if command.kind in _RENEWING:
            times += [one.ms for one in command.taken if one.ms <= until]
    return max(times)


def in_time(history: History) -> Iterator[Violation]:
    """Nothing starts late by itself: no START of a job that is too old, unless a person released it."""
    taken = arrivals(history)
    for record, key in history.owners.items():
        if key not in history.jobs:
            continue
        for at in taken.get(record, ()):
            age = at - _renewed(history, key, at)
            if age > MAX_AGE_S * 1000 + _LATEST_MS:
                sentence = f"started at the age of {age / 1000:.1f} s, and nobody released it"
                yield Violation(rule="late", sentence=sentence, about=(key[1], record))


def kept(history: History) -> Iterator[Violation]:
    """No START of a device, or of a job, that is on hold, unless it was under way before."""
    devices = holds(history)
    for record, key in history.owners.items():
        for at in history.intents.get(record, ()):
            if any(hold.since < at < hold.until for hold in devices.get(key[0], ())):
                sentence = f"{key[0]} was on hold, and record {record} was started on it"
                yield Violation(rule="hold", sentence=sentence, about=(key[1], record))
            if any(hold.since < at < hold.until for hold in job_holds(history, key)):
                sentence = f"record {record} was held by a person, and started all the same"
                yield Violation(rule="hold", sentence=sentence, about=(key[1], record))


def left(history: History) -> Iterator[Violation]:
    """At the end no job is HELD with its device unless that is on hold."""
    devices = holds(history)
    for key, causes in _causes(history).items():
        changes = history.changes[key]
        cause = str(causes[-1].fields.get("cause") or "")
        with_device = cause in ("its device is on hold", "it is not yet its turn")
        on_hold = any(hold.until == inf for hold in devices.get(key[0], ()))
        if changes[-1].state == S.HELD and with_device and not on_hold:
            sentence = f"HELD to the end, {cause}, and {key[0]} is not on hold"
            yield Violation(rule="ended", sentence=sentence, about=(key[1],))
