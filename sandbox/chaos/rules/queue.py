"""The device's queue: the urgent first, then as they came; places are told; it never stands still."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

from models.events import ScanState as S
from sandbox.chaos.facts import Key
from sandbox.chaos.history import History
from sandbox.chaos.rules.holds import holds
from sandbox.chaos.rules.spells import Spell, spells
from sandbox.chaos.rules.striking import OWNERSHIP, struck, worker_ended
from sandbox.chaos.rules.violation import Violation

_LINED_UP: Final = frozenset({S.WAITING, S.QUEUED})
_TOLD_PLACES: Final = 10
_IDLE_S: Final = 15.0
"""So long may a device be idle while jobs wait for it, once all faults are over."""
_SLACK_MS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A job waits in its device's queue; times in ms."""

    key: Key
    since: float
    until: float


def waits(history: History) -> dict[str, list[Wait]]:
    """Give when jobs waited for each device, as their events told."""
    found: dict[str, list[Wait]] = {}
    for key, changes in history.changes.items():
        told = history.told.get(history.record_of.get(key, ""), [])
        ready = [one.ms for one in told if one.state == S.READY]
        ends = [*(float(change.ms) for change in changes[1:]), inf]
        for change, end in zip(changes, ends, strict=True):
            if change.state in _LINED_UP:
                # Its record may announce much later that it went on.
                until = min([end, *(ms for ms in ready if ms >= change.ms)])
                wait = Wait(key=key, since=change.ms, until=until)
                found.setdefault(key[0], []).append(wait)
    return found


def ordered(history: History) -> Iterator[Violation]:
    """See that of those waiting when a device came free the first one went on."""
    queues = waits(history)
    for device, several in spells(history).items():
        for spell in several:
            key = history.owners[spell.record]
            job = history.jobs.get(key)
            chosen = None if job is None else _chosen(history, several, spell)
            if job is None or job.rank is None or chosen is None:
                continue
            since, until = chosen
            for wait in queues.get(device, ()):
                other = history.jobs.get(wait.key)
                if other is None or other.rank is None or other.rank >= job.rank:
                    continue
                if wait.since < since and wait.until > until and not _moved(history, wait, until):
                    yield Violation(
                        rule="ordered",
                        sentence=f"{device} went on with {key[1]} before {wait.key[1]}, which waited",
                        about=(key[1], spell.record, wait.key[1]),
                    )


def _chosen(history: History, several: list[Spell], spell: Spell) -> tuple[float, float] | None:
    """Give a time before which a job was not chosen for the device, and one when it had been."""
    changes = history.changes[history.owners[spell.record]]
    since = max(changes[0].ms, *(one.until for one in several if one.until <= spell.since), 0.0)
    told = history.told.get(spell.record, ())
    ready = [one.ms for one in told if one.state == S.READY and since <= one.ms <= spell.since]
    return (since, ready[0]) if ready else None


def _moved(history: History, wait: Wait, until: float) -> bool:
    """Tell whether a worker may have had a job before it knew of another that waited already."""
    span = (wait.since / 1000 - 1, until / 1000)
    return worker_ended(history, *span) or struck(history, *span, OWNERSHIP)


def placed(history: History) -> Iterator[Violation]:
    """See that each QUEUED job has a place, and is the first before it goes on."""
    places: dict[Key, list[tuple[int, int]]] = {}
    for event in history.events:
        queued = event.kind in ("STATE_CHANGED", "PROGRESS") and event.state == S.QUEUED
        if not queued:
            continue
        place = event.fields.get("count")
        request = str(event.fields.get("request_id"))
        if (
            not isinstance(place, int)
            or place < 1
            or (event.kind == "PROGRESS" and place > _TOLD_PLACES)
        ):
            sentence = f"QUEUED, and its place is told as {place}"
            yield Violation(rule="placed", sentence=sentence, about=(request,))
            continue
        key = (str(event.fields.get("device_id")), request)
        places.setdefault(key, []).append((event.ms, place))
    for key, told in places.items():
        yield from _first_in_the_end(history, key, told)


def _first_in_the_end(
    history: History, key: Key, told: list[tuple[int, int]]
) -> Iterator[Violation]:
    for before, after in pairwise(history.changes.get(key, ())):
        if before.state != S.QUEUED or after.state != S.READY:
            continue
        mine = [(ms, place) for ms, place in told if before.ms <= ms <= after.ms]
        since = mine[-1][0] / 1000 if mine else before.ms / 1000
        if not mine or mine[-1][1] == 1 or worker_ended(history, since - 1, after.ms / 1000):
            continue
        if struck(history, since - 1, after.ms / 1000, OWNERSHIP):
            continue
        sentence = f"it went on from place {mine[-1][1]}, as the last that was told says"
        yield Violation(rule="placed", sentence=sentence, about=(key[1],))


def moved_on(history: History) -> Iterator[Violation]:
    """See that no queue stands still: with all well, a free device goes on with the next job."""
    well = [float(line["wall"]) * 1000 for line in history.runner if line["what"] == "all-is-well"]
    rest = [float(line["wall"]) * 1000 for line in history.runner if line["what"] == "at-rest"]
    if not well or not rest:
        return
    busy = spells(history)
    held = holds(history)
    for device, several in waits(history).items():
        taken = [(one.since, one.until) for one in busy.get(device, ())]
        taken += [(one.since, one.until) for one in held.get(device, ())]
        for wait in several:
            since, until = max(wait.since, well[0]), min(wait.until, rest[0])
            idle = _longest_gap(since, until, taken)
            if idle > _IDLE_S * 1000:
                sentence = f"{device} was idle for {idle / 1000:.0f} s while {wait.key[1]} waited"
                yield Violation(rule="moved", sentence=sentence, about=(wait.key[1],))


def _longest_gap(since: float, until: float, taken: list[tuple[float, float]]) -> float:
    """Give the longest time within a span in which nothing had the device."""
    longest, at = 0.0, since
    for begin, end in sorted(taken):
        if end <= at:
            continue
        longest = max(longest, min(begin, until) - at)
        at = max(at, end)
        if at >= until:
            return longest
    return max(longest, until - at)
