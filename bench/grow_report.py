"""The figures of `bench.grow` as one table: a column for each size."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from bench.report import machine_line

_PLAIN_WIDTH: Final = 150
_Row = tuple[str, str, Callable[[Mapping[str, Any]], str]]


def print_grow(result: Mapping[str, Any], target: Path) -> None:
    """Print what was measured of each size, beside the targets of the largest."""
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    console.print(f"`{result['command']}`: {machine_line(result['machine'])}", soft_wrap=True)
    sizes = result["sizes"]
    table = Table(box=box.MARKDOWN)
    table.add_column("what")
    for size in sizes:
        table.add_column(f"{size['records']:,} records", justify="right")
    table.add_column("target of the largest", justify="right")
    for what, goal, show in _rows(result, sizes[0]):
        table.add_row(what, *(show(size) for size in sizes), goal)
    console.print(table)
    verdict = "nothing lost, nothing started twice" if result["good"] else "NOT GOOD"
    console.print(f"{verdict} — {target}", soft_wrap=True)


def _rows(result: Mapping[str, Any], smallest: Mapping[str, Any]) -> list[_Row]:
    rate = f"{result['per_second']:g} jobs/s"
    kills = "SIGKILL, restarted with its local state, to the first output: median / worst"
    return [
        ("rows in the changelogs", "", lambda s: f"{s['rows']:,}"),
        ("start without local state, to ready", "measured", lambda s: f"{s['cold_start']['ready_s']} s"),
        ("the same, rows a second", "", lambda s: f"{s['cold_start']['rows_per_second']:,}"),
        ("local state on disk", "", lambda s: f"{s['cold_start']['local_state_mb']} MB"),
        ("a backlog, until all is settled (median)", "", lambda s: f"{s['jobs_per_second']} jobs/s"),
        ("the same, as a part of the smallest", "0.8 or more", lambda s: _part(s, smallest)),
        ("a backlog, until all device tasks are out", "", lambda s: f"{s['tasks_per_second']} jobs/s"),
        ("processor time of the worker, each job", "", lambda s: f"{s['worker_cpu_ms_per_job']} ms"),
        (f"{rate}: job sent to device task, p50", "", lambda s: _latency(s, "p50")),
        ("the same, p99", "", lambda s: _latency(s, "p99")),
        ("memory at the end of a round, most", "below 400 MB", lambda s: _most(s, "rss_mb")),
        ("memory, highest ever (start without state too)", "", lambda s: _most(s, "most_mb")),
        ("start with local state, to ready, worst", "", _worst_ready),
        (kills, "below 5 s", lambda s: _times(s["kills"]["sigkill_to_first_output_s"])),
        ("the same, to ready: median / worst", "", lambda s: _times(s["kills"]["sigkill_to_ready_s"])),
        ("jobs / not ended / started twice", "", _ended),
    ]  # fmt: skip


def _part(size: Mapping[str, Any], smallest: Mapping[str, Any]) -> str:
    rate, least = size["jobs_per_second"], smallest["jobs_per_second"]
    return f"{rate / least:.2f}" if rate and least else "-"


def _latency(size: Mapping[str, Any], key: str) -> str:
    values = [one["to_device_task_ms"][key] for one in size["rounds"] if one["to_device_task_ms"]]
    return f"{median(values):.1f} ms" if values else "-"


def _most(size: Mapping[str, Any], key: str) -> str:
    values = [one[key] for one in size["rounds"] if one[key] is not None]
    if key == "most_mb" and size["cold_start"][key] is not None:
        values.append(size["cold_start"][key])
    return f"{max(values)} MB" if values else "-"


def _worst_ready(size: Mapping[str, Any]) -> str:
    return f"{max(one['ready_s'] for one in size['rounds'])} s"


def _times(figures: Mapping[str, Any]) -> str:
    return f"{figures['median']} / {figures['worst']} s"


def _ended(size: Mapping[str, Any]) -> str:
    return f"{size['jobs_sent']} / {size['jobs_not_ended']} / {size['started_twice']}"
