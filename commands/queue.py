"""`queue`: what runs on a device, what waits for it, since when and why."""

import json as jsonlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from faust.cli import argument, option

from commands.base import Context, Exit, PlainCommand, timeout_option
from commands.kafka import connect
from commands.show import at_terminal, printable, show_table
from commands.work import DeviceWork, Entry, Work, read_work
from models.base import canonical, rfc3339
from models.events import ScanState
from models.work import AT_DEVICE, HELD, PARKED

HEAD: Final = ("place", "state", "job", "record", "request", "for", "since", "why")
SINCE: Final = HEAD.index("since")
UNLIMITED: Final = (
    "SCANHUB_SCANS_PER_DEVICE is 0: jobs are started at once, and what runs is not known here"
)
HELD_ADVICE: Final = (
    "  held: a person decides; `release REQUEST` lets a job go on, `cancel REQUEST` ends it"
)
BEGUN: Final = (ScanState.STARTING, ScanState.STARTED, ScanState.UNKNOWN)
KINDS: Final = {AT_DEVICE: "running", PARKED: "waiting", HELD: "held"}


def add_queue(app: Any, context: Context) -> None:
    """Add the command."""

    async def queue(_: PlainCommand, device: str | None, json: bool, limit_s: float) -> Exit:
        """Show what runs and what waits, and why.

        Of DEVICE, or of all that have work; with places, since when, and who put it on hold.
        """
        async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
            work = await read_work(kafka, context)
        now_ms = int(time.time() * 1000)
        names = sorted(work.devices) if device is None else [device]
        if json:
            for name in names:
                print(jsonlib.dumps(facts(name, work.devices[name])))
            return Exit.GOOD
        if context.settings.scans_per_device == 0:
            print(UNLIMITED)
        for name in names:
            show_device(name, work.devices[name], now_ms)
        if not names:
            print("nothing runs, nothing waits, no device is on hold")
        return Exit.GOOD

    app.command(
        argument("device", required=False),
        option("--json", is_flag=True, help="One line of JSON for each device."),
        timeout_option("Seconds for the broker."),
        base=PlainCommand,
    )(queue)


def show_device(name: str, work: DeviceWork, now_ms: int) -> None:
    """Show one device: its hold, what runs, what waits, what a person holds."""
    print(printable(headline(name, work, now_ms)))
    rows = table(work, now_ms)
    if rows and at_terminal():
        # Its age is enough for a person; request ids need the room.
        show_table(
            [row[:SINCE] + row[SINCE + 1 :] for row in rows], HEAD[:SINCE] + HEAD[SINCE + 1 :]
        )
    else:
        for line in plain_table(rows):
            print(printable(line))
    if work.held:
        print(HELD_ADVICE)


def plain_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay rows out in columns under their heads; none where there are no rows."""
    whole = [HEAD, *([cell or "-" for cell in row] for row in rows)] if rows else []
    widths = [max(len(row[at]) for row in whole) for at in range(len(HEAD))] if whole else []
    return [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in whole
    ]


class Place(NamedTuple):
    """Where a job is: at its device, in its queue, or with a person."""

    device: str
    entry: Entry
    number: int = 0
    """In the queue: 1 is the next."""

    @property
    def where(self) -> str:
        """Say it in words."""
        words = {
            AT_DEVICE: "holds",
            PARKED: f"place {self.number} of",
            HELD: "held by a person, of",
        }
        return f"{words[self.entry.kind]} {self.device}"


def place_of(work: Work, device: str, entry: Entry) -> Place:
    """Give a job's place at its device."""
    waiting = [one.order for one in work.devices[device].waiting]
    return Place(device, entry, waiting.index(entry.order) + 1 if entry.order in waiting else 0)


def headline(name: str, work: DeviceWork, now_ms: int) -> str:
    """Say in one line how a device stands."""
    begun = sum(entry.row.state in BEGUN for entry in work.running)
    parts = [f"{begun} running", f"{len(work.waiting)} waiting"]
    if len(work.running) > begun:
        parts.insert(1, f"{len(work.running) - begun} on its way to it")
    if work.held:
        parts.append(f"{len(work.held)} held")
    text = f"{name}: {', '.join(parts)}"
    if (hold := work.hold) is not None:
        who = f" by {hold.by}" if hold.by else ""
        text += f"; ON HOLD{who} for {age(hold.since_ms, now_ms)}: `release {name}` lets it go on"
    return text


def table(work: DeviceWork, now_ms: int) -> list[tuple[str, ...]]:
    """Give the rows that are shown: running, waiting with their places, held."""
    rows = [
        _row("runs" if entry.row.state in BEGUN else "next", entry, now_ms)
        for entry in work.running
    ]
    rows += [_row(str(place), entry, now_ms) for place, entry in enumerate(work.waiting, start=1)]
    return rows + [_row("held", entry, now_ms) for entry in work.held]


def _row(place: str, entry: Entry, now_ms: int) -> tuple[str, ...]:
    row = entry.row
    why = row.reason
    if entry.priority:
        why = f"{why} (priority {entry.priority})".strip()
    return (
        place,
        str(row.state or ""),
        "" if row.job_id is None else canonical(row.job_id),
        "" if row.record_id is None else canonical(row.record_id),
        row.request_id,
        age(row.since_ms, now_ms),
        _time(row.since_ms) or "",
        why,
    )


def age(since_ms: int | None, now_ms: int) -> str:
    """Write how long something has been so: 12 s, 5 min, 3 h, 2 d."""
    if since_ms is None:
        return "?"
    seconds = max(0, (now_ms - since_ms) // 1000)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def facts(name: str, work: DeviceWork) -> dict[str, Any]:
    """Give what is known of a device, for programs."""
    hold = work.hold
    return {
        "device_id": name,
        "on_hold": None if hold is None else {"by": hold.by, "since": _time(hold.since_ms)},
        **{
            KINDS[kind]: [job_facts(entry) for entry in entries]
            for kind, entries in (
                (AT_DEVICE, work.running),
                (PARKED, work.waiting),
                (HELD, work.held),
            )
        },
    }


def job_facts(entry: Entry) -> dict[str, Any]:
    """Give what is known of a job, for programs."""
    row = entry.row
    return {
        "request_id": row.request_id,
        "record_id": row.record_id,
        "job_id": row.job_id,
        "state": row.state,
        "since": _time(row.since_ms),
        "reason": row.reason,
        "priority": entry.priority,
        "by": row.by,
    }


def _time(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(when(ms))


def when(ms: int) -> datetime:
    """Give a time of a row."""
    return datetime.fromtimestamp(ms / 1000, UTC)
