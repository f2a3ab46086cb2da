"""Reads in what all parties wrote down: topics, logs, the manager's records, the data lake."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from models.base import canonical
from sandbox.chaos.facts import Message
from sandbox.chaos.history import History

_LONGEST: Final = 2_000


def lines(path: Path) -> list[dict[str, Any]]:
    """Give a log's lines; one that was cut by a kill is left out."""
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines() if line.strip()]


def read_history(
    folder: Path,
    *,
    seed: int,
    partitions: int,
    devices: Iterable[str],
    messages: Sequence[Message],
) -> History:
    """Put a run's history together from its folder and its topics."""
    starts, asked = [], lines(folder / "managers.jsonl")
    for device in devices:
        starts += lines(folder / f"starts-{device}.jsonl")
        asked += [{**one, "device": device} for one in lines(folder / f"requests-{device}.jsonl")]
    return History(
        seed=seed,
        partitions=partitions,
        messages=messages,
        client=lines(folder / "client.jsonl"),
        runner=lines(folder / "runner.jsonl"),
        starts=starts,
        asked=asked,
        records=records_made(folder / "exams.jsonl"),
        managed=managed(folder / "exams.jsonl"),
        files=hashes(folder / "lake"),
    )


def keep_messages(path: Path, messages: Iterable[Message]) -> None:
    """Write all topics down in the order of time: what a violation's story leaves out is here."""
    with path.open("w", encoding="utf-8") as file:
        for message in sorted(messages, key=lambda m: (m.ms, m.topic, m.partition, m.offset)):
            line = {
                "ms": message.ms,
                "here": message.here,
                "key": _text(message.key),
                "value": _text(message.value),
                "headers": {name: _text(value) for name, value in message.headers.items()},
            }
            file.write(json.dumps(line) + "\n")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value[:_LONGEST].decode(errors="replace")


def records_made(path: Path) -> list[dict[str, Any]]:
    """Give every record that was ever made, as it was made: comments change, records may be deleted."""
    made: dict[str, dict[str, Any]] = {}
    for change in lines(path):
        if change.get("table") == "records" and change.get("row") is not None:
            row = change["row"]
            made.setdefault(canonical(row["id"]), row)
    return list(made.values())


def managed(path: Path) -> list[dict[str, Any]]:
    """Give every change of a workflow or a task at the exam manager, in order."""
    wanted = ("workflows", "tasks")
    return [one for one in lines(path) if one.get("table") in wanted and one["row"] is not None]


def hashes(lake: Path) -> dict[str, str]:
    """Hash all files that were registered; those that are being written have a dot in front."""
    found = {}
    for path in sorted((lake / "records").glob("*/*")):
        if path.is_file() and not path.name.startswith("."):
            found[path.relative_to(lake).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
