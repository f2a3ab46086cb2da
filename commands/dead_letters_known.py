"""What is known of a dead letter without its value, and which ones are meant. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from models import wire
from models.base import rfc3339
from models.deadletters import LetterAct
from streams.deadletters import attempts_of, first_failed_at
from streams.inbound import Inbound

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SPAN: Final = re.compile(r"(\d{1,5})([smhd])", re.ASCII)
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
HEAD: Final = ("id", "when", "cause", "topic", "stage", "attempts", "what", "settled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter, without value and key; of its headers only ours (promise 8)."""

    partition: int
    offset: int
    written_ms: int
    key_size: int | None
    request_id: str
    own: Mapping[str, str]
    attempts: int
    first_failed: str | None

    @classmethod
    def of(cls, read: Inbound) -> Self:
        """Take what is known from a message of the dead-letters topic."""
        header = {name: value.decode("utf-8", "replace") for name, value in read.header.items()}
        request_id = header.get(wire.REQUEST_ID, "")
        return cls(
            partition=read.partition,
            offset=read.offset,
            written_ms=read.timestamp_ms,
            key_size=None if read.key is None else len(read.key),
            request_id=request_id if _REQUEST_ID.fullmatch(request_id) else "",
            own={name: header[name] for name in sorted(wire.DEAD_HEADERS) if name in header},
            attempts=attempts_of(read.header),
            first_failed=first_failed_at(read.header),
        )

    @property
    def id(self) -> str:
        """What people type: PARTITION-OFFSET on the dead-letters topic."""
        return f"{self.partition}-{self.offset}"

    @property
    def topic(self) -> str:
        """Logical name of the topic that the message came from."""
        return self.own.get(wire.DEAD_TOPIC, "")

    @property
    def cause(self) -> str:
        """Why it is dead."""
        return self.own.get(wire.DEAD_CAUSE, "")

    @property
    def when(self) -> datetime:
        """When it failed; where its header says nothing, when it was written."""
        return _moment(self.own.get(wire.DEAD_FAILED_AT)) or _at(self.written_ms)

    @property
    def first(self) -> datetime:
        """When it failed for the first time, before any replay."""
        return min(_moment(self.first_failed) or self.when, self.when)

    def row(self, act: LetterAct | None) -> tuple[str, ...]:
        """Give what `list` shows, in the order of HEAD; the last is empty while it is open."""
        return (
            self.id,
            rfc3339(self.when),
            self.cause,
            self.topic,
            self.own.get(wire.DEAD_STAGE, ""),
            str(self.attempts),
            self.own.get(wire.DEAD_MESSAGE, ""),
            "" if act is None else settled(act),
        )

    def facts(self, act: LetterAct | None) -> dict[str, Any]:
        """Give the same for JSON."""
        facts: dict[str, Any] = dict(zip(HEAD, self.row(act), strict=True))
        return {**facts, "attempts": self.attempts, "settled": facts["settled"] or None}


Acts = dict[tuple[str, int], LetterAct]
"""The last act for each letter, by its id and its own time."""


def act_on(letter: Letter, acts: Acts) -> LetterAct | None:
    """Give what settled a letter, if something did."""
    return acts.get((letter.id, letter.written_ms))


def settled(act: LetterAct) -> str:
    """Say how a letter was settled."""
    by = f" by {act.by}" if act.by else ""
    return f"{act.act} {rfc3339(act.at)}{by}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which letters are meant; `topic` is a logical name, `settled` means those settled too."""

    topic: str | None = None
    cause: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    settled: bool = False

    @property
    def narrows(self) -> bool:
        """Whether it says which ones are meant."""
        return any(part is not None for part in (self.topic, self.cause, self.since, self.until))

    def passes(self, letter: Letter, act: LetterAct | None) -> bool:
        """Tell whether a letter is meant."""
        return (
            self.topic in (None, letter.topic)
            and self.cause in (None, letter.cause)
            and (self.since is None or self.since <= letter.when)
            and (self.until is None or letter.when <= self.until)
            and (self.settled or act is None)
        )


def read_moment(text: str, now: datetime) -> datetime:
    """Read a time: RFC 3339, or how long ago as 90s, 30m, 2h, 7d. Raises ValueError."""
    if span := _SPAN.fullmatch(text):
        return now - timedelta(**{UNITS[span[2]]: int(span[1])})
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.astimezone(UTC)


def _moment(text: str | None) -> datetime | None:
    try:
        return read_moment(text, _at(0)) if text and "T" in text else None
    except (ValueError, OverflowError):
        return None


def _at(ms: int) -> datetime:
    # A time that no calendar has (a foreign writer's) is as good as none.
    return datetime.fromtimestamp(min(max(ms, 0), 253_402_300_799_000) / 1000, UTC)
