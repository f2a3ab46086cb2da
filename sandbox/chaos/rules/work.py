"""The table of jobs that wait or hold their device: at the end nothing of what is over is in it."""

import json
from collections.abc import Iterator
from typing import Any

from models.events import FINAL
from models.events import ScanState as S
from sandbox.chaos.facts import DEVICE_WORK, Key
from sandbox.chaos.history import History
from sandbox.chaos.rules.violation import Violation


def rows(history: History) -> dict[tuple[str, str], dict[str, Any]]:
    """Give the rows that are left, by device and name, as the changelog has them."""
    found: dict[bytes, bytes | None] = {}
    for message in sorted(history.of(DEVICE_WORK), key=lambda one: (one.partition, one.offset)):
        if message.key is not None:
            found[message.key] = message.value
    left: dict[tuple[str, str], dict[str, Any]] = {}
    for key, value in found.items():
        if value:
            device, _, name = key.decode().partition("\x00")
            left[device, name] = json.loads(value)
    return left


def left_over(history: History) -> Iterator[Violation]:
    """No row of a job that is over; each job that waits for a person, or is UNKNOWN, has one."""
    having: set[Key] = set()
    for (device, name), row in rows(history).items():
        if name == "d":
            continue  # a device on hold; who is HELD with it is looked at elsewhere
        key = (device, str(row.get("request_id")))
        having.add(key)
        changes = history.changes.get(key)
        if changes is None or changes[-1].state in FINAL:
            state = changes[-1].state if changes else "of nobody"
            sentence = f"{device} still has the row {name}, and its job is {state}"
            yield Violation(rule="rows", sentence=sentence, about=(key[1],))
    for key, changes in history.changes.items():
        waits = changes[-1].state in (S.HELD, S.QUEUED, S.WAITING, S.UNKNOWN, S.STARTED, S.RUNNING)
        if waits and key not in having:
            sentence = f"{changes[-1].state}, and its device has no row of it"
            yield Violation(rule="rows", sentence=sentence, about=(key[1],))
