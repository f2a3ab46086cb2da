"""How `watch` looks at a terminal: tables that fill its height, what needs a person first."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from commands.queue import age
from commands.show import printable
from commands.watching import DeviceSeen, Scan, Watched
from models.base import canonical
from models.work import ParkedRow

FRAME: Final = 2
"""Lines of a table beside its rows: its title, the heads."""
RowT = TypeVar("RowT")


class Screen:
    """Everything that is known, as much of it as the terminal has room for at the moment."""

    def __init__(self, watched: Watched, now: datetime) -> None:
        self._watched = watched
        self._now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        yield screen(self._watched, self._now, options.height or console.height)


def screen(watched: Watched, now: datetime, height: int = 40) -> RenderableType:
    """Draw everything that is known in so many lines."""
    devices = watched.devices()
    notes, jobs, ends = _notes(watched, now), _jobs(devices, now), _ends(watched)
    busy = [device for device in devices if device.weight]
    wanted = [len(notes), max(len(busy), 1) + (len(busy) < len(devices)), len(jobs), len(ends)]
    rooms = share(height - 1, wanted)
    parts: list[RenderableType] = [_title(watched, now)]
    if rooms[0]:
        parts.append(_list("look here", notes, rooms[0]))
    if rooms[1]:
        parts.append(_devices(busy, len(devices) - len(busy), now, rooms[1]))
    if rooms[2]:
        heads = ("device", "place", "state", "request", "for", "why")
        parts.append(_table("waiting", heads, jobs, rooms[2]))
    if rooms[3]:
        parts.append(_table("ended", ("at", "device", "scan", "state", "why"), ends, rooms[3]))
    return Group(*parts)


def share(lines: int, wanted: list[int]) -> list[int]:
    """Share the lines of a screen among tables; gives how many rows each may have, 0 = it is left out.

    Each gets one row, the first ones first; then all get more, by turns, until nobody wants any.
    """
    rooms = [0] * len(wanted)
    for number, wants in enumerate(wanted):
        if wants and lines > FRAME:
            rooms[number], lines = 1, lines - FRAME - 1
    while lines > 0 and (hungry := [n for n, room in enumerate(rooms) if 0 < room < wanted[n]]):
        for number in hungry[:lines]:
            rooms[number] += 1
            lines -= 1
    return rooms


def _title(watched: Watched, now: datetime) -> Text:
    lost = watched.broker_lost
    if lost is not None:
        return _text(
            f"{now:%H:%M:%S} UTC  the broker does not answer, {_ago(lost, now)}: old", "red"
        )
    which = f"  device {watched.device}" if watched.device else ""
    return _text(f"{now:%H:%M:%S} UTC{which}  Ctrl-C ends", "dim")


def _devices(busy: list[DeviceSeen], idle: int, now: datetime, room: int) -> Table:
    table = Table(expand=True, title_justify="left", title="devices", box=None, header_style="bold")
    for head, ratio in (("device", None), ("scan", 3), ("", 2), ("left", None), ("wait", None)):
        table.add_column(head, ratio=ratio, no_wrap=ratio is None)
    shown = busy if len(busy) + bool(idle) <= room else busy[: room - 1]
    # By name, so that a device stays where it is.
    for device in sorted(shown, key=lambda one: one.name):
        table.add_row(*_device(device, now))
    left = [f"{len(busy) - len(shown)} more"] if len(busy) > len(shown) else []
    left += [f"{idle} idle"] if idle else []
    if left:
        table.add_row("…", _text(f"and {', '.join(left)}", "dim"))
    return table


def _device(device: DeviceSeen, now: datetime) -> tuple[RenderableType, ...]:
    scans, work = device.scans, device.work
    first = scans[0] if scans else None
    what = _scans(scans) if first else _holder([entry.row for entry in work.running])
    if (hold := work.hold) is not None:
        what = f"ON HOLD{f' by {hold.by}' if hold.by else ''}; {what}"
    percent = first.pace.percent if first else None
    return (
        _text(device.name),
        _text(what, "bold red" if hold is not None else ""),
        "" if percent is None else ProgressBar(total=100, completed=percent),
        _left(first.pace.left(now) if first else None),
        str(len(work.waiting)),
    )


def _jobs(devices: list[DeviceSeen], now: datetime) -> list[tuple[str, ...]]:
    now_ms = int(now.timestamp() * 1000)
    rows: list[tuple[str, ...]] = []
    for device in devices:
        entries = [(str(place), one) for place, one in enumerate(device.work.waiting, start=1)]
        entries += [("held", one) for one in device.work.held]
        for place, entry in entries:
            row = entry.row
            since = age(row.since_ms, now_ms)
            rows.append(
                (device.name, place, str(row.state or ""), row.request_id, since, row.reason)
            )
    return rows


def _notes(watched: Watched, now: datetime) -> list[Text]:
    notes = [
        _text(f"{name}: {event.cause or 'away'} ({_ago(event.at, now)})", "red")
        for name, event in watched.outages.items()
    ]
    notes += [
        _text(f"OVERDUE {scan.device} {_which(scan)}: {scan.overdue}", "yellow")
        for scan in watched.overdue()
    ]
    notes += [
        _text(
            f"UNKNOWN {scan.device} {_which(scan)}: look at the scanner, then `confirm"
            f" {scan.record or 'RECORD'} started` or `not-started`",
            "yellow",
        )
        for scan in watched.unknown()
    ]
    if watched.letters:
        counts = ", ".join(f"{n} {cause}" for cause, n in watched.letters.most_common())
        notes.append(_text(f"dead letters: {counts} (`dead-letters list`)"))
        notes += [
            _text(f"  {one.topic} ({one.cause}): {one.sentence}")
            for one in reversed(watched.last_letters)
        ]
    return notes


def _ends(watched: Watched) -> list[tuple[str, ...]]:
    return [
        (
            f"{scan.changed:%H:%M:%S}",
            scan.device,
            _which(scan),
            str(scan.state),
            scan.cause or "",
        )
        for scan in reversed(watched.ends)
    ]


def _list(title: str, notes: list[Text], room: int) -> Table:
    table = Table(expand=True, title_justify="left", title=title, box=None, show_header=False)
    for note in _cut(notes, room + 1):  # it has no heads
        table.add_row(note if isinstance(note, Text) else _text(note))
    return table


def _table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]], room: int) -> Table:
    table = Table(expand=True, title_justify="left", title=title, box=None, header_style="bold")
    for head in heads:
        # What a person has to type is not cut; the reason gives way.
        table.add_column(head, ratio=1 if head == "why" else None)
    for row in _cut(rows, room):
        table.add_row(*(_text(cell) for cell in ((row,) if isinstance(row, str) else row)))
    return table


def _cut(rows: Sequence[RowT], room: int) -> list[RowT | str]:
    """Give as many as there is room for, and say how many more there are."""
    if len(rows) <= room:
        return [*rows]
    return [*rows[: room - 1], f"… {len(rows) - room + 1} more"]


def _scans(scans: list[Scan]) -> str:
    first = scans[0]
    percent = "" if first.pace.percent is None else f" {first.pace.percent} %"
    more = f" (and {len(scans) - 1} more)" if len(scans) > 1 else ""
    return f"{first.state}{percent}, {_which(first)}{more}"


def _holder(rows: list[ParkedRow]) -> str:
    if not rows:
        return "idle"
    record = "" if rows[0].record_id is None else f", record {canonical(rows[0].record_id)}"
    why = f": {rows[0].reason}" if rows[0].reason else ""
    return f"{rows[0].state or 'READY'}{record}{why}"


def _which(scan: Scan) -> str:
    return f"record {scan.record}" if scan.record else f"request {scan.request}"


def _left(remaining: timedelta | None) -> str:
    if remaining is None:
        return ""
    seconds = int(remaining.total_seconds())
    return f"{seconds // 60}:{seconds % 60:02d}"


def _ago(at: datetime, now: datetime) -> str:
    return f"for {age(int(at.timestamp() * 1000), int(now.timestamp() * 1000))}"


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")
