"""The figures of `bench.scale` as tables in Markdown."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from bench.report import machine_line

_PLAIN_WIDTH: Final = 150
_TITLES: Final = {
    "join": "a third worker joins",
    "sigkill_restart": "one of three is killed and started at once",
    "sigterm": "one of three is stopped (SIGTERM) and stays away",
}


def print_scale(result: Mapping[str, Any], target: Path) -> None:
    """Print a table for each part that was measured."""
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    console.print(f"`{result['command']}`: {machine_line(result['machine'])}", soft_wrap=True)
    if "rates" in result:
        console.print(_rates(result))
    if "changes" in result:
        console.print(_changes(result))
    verdict = "nothing lost, nothing started twice" if result["good"] else "NOT GOOD"
    told = f"{result['jobs_sent']} jobs, {result['jobs_not_ended']} not ended,"
    console.print(
        f"{verdict}: {told} {result['started_twice']} started twice — {target}", soft_wrap=True
    )


def _rates(result: Mapping[str, Any]) -> Table:
    title = f"A backlog, managers answer in {result['latency_ms']:g} ms (medians)"
    columns = ("in flight", "workers", "jobs/s, all settled", "device tasks/s", "CPU ms a job, all")
    table = _table(title, columns)
    kinds = dict.fromkeys((one["in_flight"], one["workers"]) for one in result["rates"])
    for in_flight, workers in kinds:
        same = [
            one
            for one in result["rates"]
            if (one["in_flight"], one["workers"]) == (in_flight, workers)
        ]
        keys = ("jobs_per_second", "tasks_per_second", "worker_cpu_ms_per_job")
        figures = (_median(one[key] for one in same) for key in keys)
        table.add_row(str(in_flight), str(workers), *figures)
    return table


def _changes(result: Mapping[str, Any]) -> Table:
    title = f"Longest silences at {result['per_second']:g} jobs/s: median / worst, s"
    columns = (
        "what", "partitions that moved", "all together", "those that moved", "those the third had",
        "all others", "rebalances of the others",
    )  # fmt: skip
    table = _table(title, columns)
    for kind, what in _TITLES.items():
        ones = result["changes"][kind]
        keys = (
            "all_together_s", "worst_that_moved_s", "worst_of_the_struck_s",
            "worst_that_stayed_s",
        )  # fmt: skip
        silences = (_both(one[key] for one in ones) for key in keys)
        moved = ", ".join(str(len(one["moved"])) for one in ones)
        joins = ", ".join(str(one["rebalances_of_the_others"]) for one in ones)
        table.add_row(what, moved, *silences, joins)
    return table


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, box=box.MARKDOWN, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column == "what" else "right")
    return table


def _median(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):g}" if known else "-"


def _both(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.2f} / {max(known):.2f}" if known else "-"
