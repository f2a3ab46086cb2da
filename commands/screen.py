"""How `watch` looks at a terminal: tables that rich draws anew, at most some times a second."""

from datetime import datetime, timedelta
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from commands.queue import age
from commands.show import printable
from commands.watching import Scan, Watched
from commands.work import Entry
from models.base import canonical

MOST_DEVICES: Final = 12
MOST_WAITING: Final = 10


def screen(watched: Watched, now: datetime) -> RenderableType:
    """Draw everything that is known."""
    parts: list[RenderableType] = [_devices(watched, now)]
    waiting = _waiting(watched, now)
    if waiting.row_count:
        parts.append(waiting)
    notes = _notes(watched, now)
    if notes:
        parts.append(Panel(Group(*notes), title="look here", title_align="left"))
    if watched.ends:
        parts.append(_ends(watched))
    return Group(*parts)


def _devices(watched: Watched, now: datetime) -> Table:
    names = watched.devices()
    table = Table(expand=True, title_justify="left", title="devices")
    table.add_column("device", no_wrap=True)
    table.add_column("scan", ratio=2)
    table.add_column("", ratio=2)
    table.add_column("left", justify="right")
    table.add_column("wait", justify="right")
    table.add_column("", ratio=1)
    for name in names[:MOST_DEVICES]:
        work = watched.work.devices.get(name)
        scans = watched.running(name)
        first = scans[0] if scans else None
        hold = work.hold if work else None
        who = f" by {hold.by}" if hold is not None and hold.by else ""
        table.add_row(
            _text(name),
            _text(_scan(first) if first else _running(work.running if work else [])),
            ProgressBar(total=100, completed=first.percent or 0) if first else "",
            _left(first.remaining(now) if first else None),
            str(len(work.waiting) if work else 0),
            Text(printable(f"ON HOLD{who}"), style="bold red") if hold is not None else "",
        )
    if len(names) > MOST_DEVICES:
        table.add_row(f"… and {len(names) - MOST_DEVICES} more")
    return table


def _waiting(watched: Watched, now: datetime) -> Table:
    table = Table(expand=True, title_justify="left", title="waiting")
    for head in ("device", "place", "state", "request", "for", "why"):
        table.add_column(head)
    now_ms, more = int(now.timestamp() * 1000), 0
    for name in watched.devices():
        work = watched.work.devices.get(name)
        if work is None:
            continue
        entries = [(str(place), one) for place, one in enumerate(work.waiting, start=1)]
        entries += [("held", one) for one in work.held]
        for place, entry in entries:
            if table.row_count >= MOST_WAITING:
                more += 1
                continue
            table.add_row(_text(name), place, *_entry(entry, now_ms))
    if more:
        table.add_row(f"… and {more} more")
    return table


def _entry(entry: Entry, now_ms: int) -> tuple[Text, ...]:
    row = entry.row
    return (
        _text(str(row.state or "")),
        _text(row.request_id),
        _text(age(row.since_ms, now_ms)),
        _text(row.reason),
    )


def _notes(watched: Watched, now: datetime) -> list[Text]:
    notes = [
        Text(printable(f"{name}: {event.cause or 'away'} ({_ago(event.at, now)})"), style="red")
        for name, event in watched.outages.items()
    ]
    notes += [
        Text(printable(f"OVERDUE {scan.device} {_which(scan)}: {scan.overdue}"), style="yellow")
        for scan in watched.overdue()[:MOST_WAITING]
    ]
    if watched.letters:
        counts = ", ".join(f"{n} {cause}" for cause, n in watched.letters.most_common())
        notes.append(_text(f"dead letters: {counts} (`dead-letters list`)"))
        notes += [
            _text(f"  {one.topic} ({one.cause}): {one.sentence}") for one in watched.last_letters
        ]
    return notes


def _ends(watched: Watched) -> Table:
    table = Table(expand=True, title_justify="left", title="ended")
    for head in ("at", "device", "scan", "state", "why"):
        table.add_column(head)
    for scan in reversed(watched.ends):
        table.add_row(
            f"{scan.changed:%H:%M:%S}",
            _text(scan.device),
            _text(_which(scan)),
            str(scan.state),
            _text(scan.cause or ""),
        )
    return table


def _scan(scan: Scan) -> str:
    percent = "" if scan.percent is None else f" {scan.percent} %"
    return f"{scan.state}{percent}, {_which(scan)}"


def _running(entries: list[Entry]) -> str:
    if not entries:
        return "idle"
    row = entries[0].row
    record = "" if row.record_id is None else f", record {canonical(row.record_id)}"
    return f"{row.state or 'READY'}{record}: {row.reason}"


def _which(scan: Scan) -> str:
    return f"record {scan.record}" if scan.record else f"request {scan.request}"


def _left(remaining: timedelta | None) -> str:
    if remaining is None:
        return ""
    seconds = int(remaining.total_seconds())
    return f"{seconds // 60}:{seconds % 60:02d}"


def _ago(at: datetime, now: datetime) -> str:
    return f"for {age(int(at.timestamp() * 1000), int(now.timestamp() * 1000))}"


def _text(text: str) -> Text:
    return Text(printable(text), overflow="ellipsis")
