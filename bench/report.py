"""The figures as a small table."""

import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import quantiles
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

_PLAIN_WIDTH = 120


def print_report(result: Mapping[str, Any], target: Path) -> None:
    """Print what was measured, on what, and whether every job ended."""
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    console.print(machine_line(result["machine"]))
    paced, sustained = result["paced"], result["sustained"]
    table = Table(title=result["command"], box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    rate = f"{paced['per_second']:g} jobs/s over {result['devices']} devices"
    for name, key in (("device task", "to_device_task_ms"), ("START", "to_start_ms")):
        times = paced[key]
        figure = "-" if times is None else f"{times['p50']} / {times['p99']} ms"
        table.add_row(f"{rate}: job sent to {name}, p50 / p99", figure)
    jobs = f"{sustained['jobs']} jobs at once"
    if sustained["started"] < sustained["jobs"]:  # out of time: the rates are of those
        jobs += f" ({sustained['started']} started in time)"
    rows = {
        f"{jobs}: until all device tasks are out": ("tasks_per_second", "jobs/s"),
        f"{jobs}: until all STARTs have come": ("starts_per_second", "jobs/s"),
        "processor time of the worker, each job": ("worker_cpu_ms_per_job", "ms"),
        "share of a core: worker": ("worker_cpu_share", ""),
        "share of a core: stub (below 1, so it is no bottleneck)": ("stub_cpu_share", ""),
        "memory of the worker": ("worker_rss_mb", "MB"),
    }
    for name, (key, unit) in rows.items():
        value = sustained[key]
        table.add_row(name, "-" if value is None else f"{value} {unit}".rstrip())
    console.print(table)
    verdict = "every job ended" if result["good"] else "NOT GOOD"
    console.print(
        f"{verdict}: {result['jobs_sent']} jobs sent, {result['jobs_not_ended']} not ended,"
        f" {result['starts']} started, {result['started_twice']} started twice — {target}",
        soft_wrap=True,
    )


def machine_line(machine: Mapping[str, Any]) -> str:
    """Say on what was measured."""
    return (
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']} GB,"
        f" {machine['system']}, Python {machine['python']};"
        f" load before: {machine['load_before']}"
    )


def percentiles(seconds: list[float]) -> dict[str, float] | None:
    """Give p50, p99 and the largest, in ms; None for fewer than two."""
    if len(seconds) < 2:  # noqa: PLR2004 - quantiles need two
        return None
    cuts = quantiles(seconds, n=100, method="inclusive")
    found = {"p50": cuts[49], "p99": cuts[98], "max": max(seconds)}
    return {name: round(value * 1000, 1) for name, value in found.items()}
