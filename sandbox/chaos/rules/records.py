"""Each request has one record that counts; others are spares, explained and announced."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from models import wire
from models.base import canonical
from models.events import FINAL
from sandbox.chaos.facts import Line
from sandbox.chaos.history import History
from sandbox.chaos.plan import Kind
from sandbox.chaos.rules.striking import OWNERSHIP, struck, worker_ended
from sandbox.chaos.rules.violation import Violation

_MARK: Final = re.compile(r"request (\S+) \[([0-9a-f-]{36})\]")
_LATE_S: Final = 15.0
"""So long may a request to make a record be under way before it does its work."""


def marked(history: History) -> dict[tuple[str, str], list[Line]]:
    """Give the records made for each (device, request id), told by the mark in their comment."""
    by_mark: dict[str, list[Line]] = {}
    for record in history.records:
        found = _MARK.search(str(record.get("comment") or ""))
        if found is not None:
            by_mark.setdefault(found[2], []).append(record)
    return {
        (device, request): by_mark.get(wire.make_id(request, "record", device), [])
        for device, request in history.jobs
    }


def spares(history: History) -> dict[tuple[str, str], list[Line]]:
    """Give the records of each request that are not the one its events name."""
    return {
        key: others
        for key, records in marked(history).items()
        if key in history.record_of
        and (others := [r for r in records if canonical(r["id"]) != history.record_of[key]])
    }


def counted(history: History) -> Iterator[Violation]:
    """See that events name one record of each request, and one that carries its mark."""
    made = marked(history)
    for key, record in history.record_of.items():
        if key not in history.jobs:
            sentence = "events name a record for a request that nobody sent"
            yield Violation(rule="records", sentence=sentence, about=(key[1], record))
            continue
        if record not in {canonical(r["id"]) for r in made[key]}:
            sentence = f"record {record} was never made for this request"
            yield Violation(rule="records", sentence=sentence, about=(key[1], record))
        named = {event.record for event in history.changes[key] if event.record is not None}
        if len(named) > 1:
            sentence = (
                f"events name {len(named)} records of one request: {', '.join(sorted(named))}"
            )
            yield Violation(rule="records", sentence=sentence, about=(key[1], *sorted(named)))


def spared(history: History) -> Iterator[Violation]:
    """See that spare records were made by two owners at the same time, and were announced."""
    for key, others in spares(history).items():
        about = (key[1], history.record_of[key], *(canonical(r["id"]) for r in others))
        times = [made_at(r) for r in marked(history)[key]]
        since, until = min(times) - _LATE_S, max(times) + 1
        slow = struck(history, since, until, {Kind.MANAGER_SLOW.value}, target="manager-exam")
        moved = worker_ended(history, since, until) or struck(history, since, until, OWNERSHIP)
        if not slow and not moved:
            sentence = (
                f"{len(others) + 1} records were made, and no two owners could have made them"
            )
            yield Violation(rule="records", sentence=sentence, about=about)
        elif history.changes[key][-1].state in FINAL:
            for other in others:
                if not _announced(history, key, canonical(other["id"])):
                    sentence = f"the spare record {other['id']} was not announced"
                    yield Violation(rule="records", sentence=sentence, about=about)


def _announced(history: History, key: tuple[str, str], record: str) -> bool:
    return any(
        event.kind == "CONFLICT"
        and event.fields.get("request_id") == key[1]
        and "spare" in str(event.fields.get("cause"))
        and re.search(rf"\b{re.escape(record)}\b", str(event.fields.get("cause")))
        for event in history.events
    )


def made_at(record: Line) -> float:
    """Give when a record was made, seconds since 1970."""
    return datetime.fromisoformat(str(record["datetime_created"])).replace(tzinfo=UTC).timestamp()
