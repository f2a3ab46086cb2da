"""The whole history of one message: what all parties saw of it, in time, and what struck then."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from models import wire
from sandbox.chaos.facts import Line, Message
from sandbox.chaos.history import History

_LONGEST: Final = 150


def story(history: History, *ids: str) -> list[str]:
    """Tell what all parties saw that names one of these ids, in time, with what struck then."""
    found = sorted(_mentions(history, [one for one in ids if one]))
    if not found:
        return ["nobody saw anything of it"]
    first, last = found[0][0] - 1, found[-1][0] + 1
    struck = [
        (float(line["wall"]), f"runner   {_shown(line)}")
        for line in history.runner
        if first <= float(line["wall"]) <= last
    ]
    told = sorted(found + struck)
    lines = [f"{at - first:9.3f} s  {text}" for at, text in told[:_LONGEST]]
    more = len(told) - _LONGEST
    return lines + ([f"… and {more} lines more"] if more > 0 else [])


def _mentions(history: History, ids: Sequence[str]) -> Iterator[tuple[float, str]]:
    wanted = [_pattern(one) for one in ids]
    for message in history.messages:
        inside = (message.key or b"", message.value or b"", *message.headers.values())
        if any(one.search(text) for text in inside for one in wanted) or (
            (message.key or b"").decode(errors="replace") in ids
        ):
            yield message.ms / 1000, _message_line(message)
    parties: Iterable[tuple[str, Sequence[Line]]] = (
        ("client  ", history.client),
        ("device  ", history.starts),
        ("asked   ", history.asked),
    )
    for name, lines in parties:
        for line in lines:
            text = json.dumps(dict(line)).encode()
            if any(one.search(text) for one in wanted):
                yield float(line["wall"]), f"{name} {_shown(line)}"


def _pattern(one: str) -> "re.Pattern[bytes]":
    """Find an id as a whole; a number only where it is a record's, as numbers stand everywhere."""
    text = re.escape(one).encode()
    if one.isdecimal():
        return re.compile(rb'(?:record_id"?:\s*"?|/records?/)' + text + rb"(?![0-9])")
    return re.compile(rb"(?<![A-Za-z0-9])" + text + rb"(?![A-Za-z0-9])")


def _message_line(message: Message) -> str:
    cause = message.headers.get(wire.DEAD_CAUSE, b"").decode()
    value = (message.value or b"")[:400].decode(errors="replace")
    if message.topic in (wire.DEVICE_TASKS, wire.SCAN_JOBS):
        value = value[:90]  # what follows is the patient's
    return f"{message.here} {message.mark} {cause} {value}"


def _shown(line: Line) -> str:
    return " ".join(f"{k}={v}" for k, v in line.items() if k not in ("wall", "mono") and v)[:400]
