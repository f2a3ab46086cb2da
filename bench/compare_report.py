"""The comparison as tables."""

import sys
from collections.abc import Mapping
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from bench.compare_figures import FAILED_BELOW
from bench.compare_stub import NEEDED_PER_SECOND
from bench.report import machine_line

_PLAIN_WIDTH = 130
TITLES: Final = {
    "ours": "this processor's worker as it is shipped",
    "bare": "an aiokafka loop with the same HTTP, caches, no state, no order, no retries",
    "naive": "a Faust agent, one job after the other, one shared httpx client",
    "http": "the old way: an HTTP handler that makes a new httpx client for each call",
}


def print_comparison(result: Mapping[str, Any]) -> None:
    """Print the rivals, the ratios and the targets."""
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    console.print(machine_line(result["machine"]), soft_wrap=True)
    console.print(_stub_line(result["stub_per_second"]), soft_wrap=True)
    console.print(
        f"{result['devices']} devices, {result['sequences']} sequences of 20 kB,"
        f" {result['partitions']} partitions, managers answer after {result['latency_ms']:g} ms;"
        f" load before each round: {', '.join(map(str, result['load_before_rounds']))}",
        soft_wrap=True,
    )
    summary = result["summary"]
    for name in summary["rivals"]:
        console.print(f"  {name:6} {TITLES[name]}", soft_wrap=True)
    console.print(_rivals(result))
    ratios = Table(
        title="Ratios of jobs/s within a round", box=box.SIMPLE_HEAD, title_justify="left"
    )
    ratios.add_column("ratio")
    ratios.add_column("median (least to most)", justify="right")
    for name, found in summary["ratios"].items():
        ratios.add_row(name, _spread(found, 2))
    console.print(ratios)
    console.print(_targets(summary))
    faults = result["faults"]
    verdict = "NOT GOOD" if any(faults.values()) else "nothing lost, nothing twice"
    console.print(
        f"{verdict}: of ours {faults['lost']} jobs without a device task in time,"
        f" {faults['tasks_twice']} tasks twice, {faults['records_twice']} records twice",
        soft_wrap=True,
    )


def _stub_line(per_second: float) -> str:
    enough = per_second >= NEEDED_PER_SECOND
    what = "no bottleneck" if enough else f"FEWER than {NEEDED_PER_SECOND:g}: read no rates"
    return f"manager stub alone, without latency: {per_second:,.0f} requests/s ({what})"


def _rivals(result: Mapping[str, Any]) -> Table:
    rounds = len(result["rounds"])
    title = f"{result['command']}: medians of {rounds} rounds (least to most)"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("who")
    for name in (
        "jobs/s",
        "idle after s",
        "CPU ms/job",
        "RSS, peak MB",
        "calls/job",
        "p50 / p99 ms",
        "at jobs/s",
    ):
        table.add_column(name, justify="right")
    for name, figures in result["summary"]["rivals"].items():
        table.add_row(
            name,
            _spread(figures["jobs_per_second"], 0),
            _median(figures["idle_after_s"], 1),
            _spread(figures["cpu_ms_per_job"], 2),
            f"{_median(figures['rss_mb'], 0)}, {_median(figures['most_mb'], 0)}",
            _median(figures["calls_per_job"], 3),
            f"{_median(figures['p50_ms'], 1)} / {_median(figures['p99_ms'], 1)}",
            _median(figures["latency_per_second"], 1),
        )
        if figures["refusing_jobs_per_second"] is not None:
            table.add_row(
                f"{name}, {result['share_503'] * 100:g} % 503",
                _spread(figures["refusing_jobs_per_second"], 0),
            )
    return table


def _targets(summary: Mapping[str, Any]) -> Table:
    table = Table(title="Targets", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("target", "wanted", "measured", ""):
        table.add_column(name, justify="left" if name == "target" else "right")
    words = {True: "met", False: "MISSED", None: "-"}
    for target in summary["targets"]:
        measured = target["measured"]
        table.add_row(
            target["what"],
            target["wanted"],
            "-" if measured is None else f"{measured:g}",
            words[target["met"]],
        )
    found = summary["ratios"].get("ours/bare")
    if found is not None and found["median"] < FAILED_BELOW:
        table.add_row("", "", "", f"ours/bare below {FAILED_BELOW:g}: a failure")
    return table


def _spread(found: Mapping[str, float] | None, digits: int) -> str:
    if found is None:
        return "-"
    middle, least, most = (f"{found[name]:,.{digits}f}" for name in ("median", "least", "most"))
    return f"{middle} ({least} to {most})"


def _median(found: Mapping[str, float] | None, digits: int) -> str:
    return "-" if found is None else f"{found['median']:,.{digits}f}"
