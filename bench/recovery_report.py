"""The figures of `bench.recovery` as tables in Markdown."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from bench.report import machine_line

_PLAIN_WIDTH: Final = 150
_TITLES: Final = {
    "one": "One worker",
    "two": "Two workers, one of them lost",
    "crowd": "A scanner that hangs, and its crowd",
}


def print_recovery(result: Mapping[str, Any], target: Path) -> None:
    """Print a table for each part that was measured."""
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    console.print(f"`{result['command']}`: {machine_line(result['machine'])}", soft_wrap=True)
    console.print(f"{result['records']} finished records in the tables ({result['rows']} rows)\n")
    rows = {"one": _one, "two": _two, "crowd": _crowd}
    for part, title in _TITLES.items():
        if part not in result:
            continue
        table = Table(title=title, box=box.MARKDOWN, title_justify="left")
        table.add_column("what")
        table.add_column("figure", justify="right")
        figures = result[part]
        if "cause" in figures:
            table.add_row("not measured", figures["cause"])
        else:
            for what, figure in rows[part](figures):
                table.add_row(what, figure)
        console.print(table)
    verdict = "nothing lost, nothing started twice" if result["good"] else "NOT GOOD"
    console.print(f"{verdict} — {target}", soft_wrap=True)


def _one(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    rate = f"{figures['jobs_per_second']:g} jobs/s"
    cold = figures["cold_start"]
    yield "start without local state, to ready", f"{cold['ready_s']} s"
    yield "the same, to the first event or device task", f"{cold.get('first_output_s', '-')} s"
    name = f"SIGKILL at {rate}, restarted at once, to the first output: median / worst"
    yield _times(name, figures["sigkill_to_first_output_s"])
    yield _times("the same, to ready: median / worst", figures["sigkill_to_ready_s"])
    yield _times(f"SIGTERM at {rate}, to the end: median / worst", figures["sigterm_to_end_s"])
    yield "memory of the worker", f"{figures['worker_rss_mb']} MB"
    yield _verdict(figures)


def _two(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    rate = f"{figures['jobs_per_second']:g} jobs/s"
    name = f"SIGKILL at {rate}, not restarted, to a device task of each partition: median / worst"
    yield _times(name, figures["sigkill_to_all_partitions_s"])
    taken = ", ".join(map(str, figures["partitions_taken_over"]))
    yield "partitions with no device task for 3 s after the kill", taken
    name = "longest time without any output meanwhile: median / worst"
    yield _times(name, figures["longest_silence_of_all_s"])
    yield _verdict(figures)


def _crowd(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    crowd, rate = figures["crowd"], f"{figures['others_per_second']:g} jobs/s"
    phases = {"before": "before", "intake": "during the intake", "waiting": "while they wait"}
    for phase, when in phases.items():
        took = figures["others_to_device_task_ms"][phase]
        what = f"other devices, {rate}, job sent to device task, {when}: p50 / p99"
        yield what, _latency(took["all"])
        what = f"those of them in the scanner's partition, {when}: p50 / p99"
        yield what, _latency(took["of_the_crowds_partition"])
    yield f"intake of {crowd} jobs", f"{figures['intake_s']} s ({figures['taken_in']} taken in)"
    yield "share of a core of the worker in the intake", str(figures["worker_cpu_share_in_intake"])
    memory = f"{figures['worker_rss_before_mb']} / {figures['worker_rss_end_mb']} MB"
    yield "memory of the worker, before / at the end", memory
    states = ", ".join(f"{number} {state}" for state, number in figures["crowd_states"].items())
    yield "states of the crowd at the end", states
    lost = f"{figures['crowd_lost']} / {figures['others_not_ended']}"
    yield "lost of the crowd / of the others", lost
    yield "started twice", str(figures["started_twice"])


def _times(what: str, figures: Mapping[str, Any]) -> tuple[str, str]:
    return what, f"{figures['median']} / {figures['worst']} s (of {len(figures['all'])})"


def _latency(took: Mapping[str, float] | None) -> str:
    return "-" if took is None else f"{took['p50']:g} / {took['p99']:g} ms"


def _verdict(figures: Mapping[str, Any]) -> tuple[str, str]:
    ended = f"{figures['jobs']} / {figures['jobs_not_ended']} / {figures['started_twice']}"
    return "jobs / not ended / started twice", ended
