"""Statuses at speed: `python -m bench.statuses`, about a minute.

One worker with scans that run in its tables: statuses as a backlog (how many a second, what each costs,
and how many events a reader gets of them), and at a steady rate (how long until a reader knows of it).
No time is ever asserted. Exit code 1 only if a status got lost.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from bench.frame import on_stand
from bench.grow_size import Space
from bench.report import machine_line
from bench.stand import Stand
from bench.statuses_phases import WHOLE, backlog, steady
from bench.statuses_rows import fill_running

_WIDTH: Final = 120


def main() -> int:
    """Measure, print a table, write the figures, and give the exit code."""
    parser = _parser()
    given = parser.parse_args()
    if given.per_second * given.seconds > WHOLE * given.records:
        parser.error("a scan has 100 percents: fewer statuses at the steady rate, or more records")
    if given.statuses < given.records:
        parser.error("each record gets one status of the backlog or more")
    return on_stand(
        given,
        "statuses",
        5.0,
        lambda stand, _, signals: signals.run(_phases(stand, given)),
        _print,
    )


async def _phases(stand: Stand, given: argparse.Namespace) -> dict[str, Any]:
    space = Space("statuses", stand.partitions)
    records = given.records
    # Scans of their own for each phase: percents only grow.
    await fill_running(stand.kafka.bootstrap, space, 3 * records)
    stand.start(space.name, space.settings)
    await stand.ready(space.name)
    warm = await steady(  # imports, first writes
        stand, space, per_second=100, seconds=records / 100, first=2 * records, records=records
    )
    all_at_once = await backlog(stand, space, given.statuses, records)
    rate, seconds = given.per_second, given.seconds
    paced = await steady(
        stand, space, per_second=rate, seconds=seconds, first=records, records=records
    )
    await stand.terminate(space.name)
    bad = ("not_acknowledged", "scans_whose_last_was_not_told", "not_told", "dead_letters")
    phases = {"warm_up": warm, "backlog": all_at_once, "steady": paced}
    return {**phases, "good": not any(phase.get(key) for phase in phases.values() for key in bad)}


def _print(result: dict[str, Any], target: Path) -> None:
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    console.print(f"`{result['command']}`: {machine_line(result['machine'])}", soft_wrap=True)
    table = Table(box=box.MARKDOWN)
    for column in ("what", "figure", "target"):
        table.add_column(column, justify="left" if column == "what" else "right")
    backlog, paced = result["backlog"], result["steady"]
    many = f"{backlog['statuses']} statuses of {backlog['records']} scans at once"
    rate = f"{paced['per_second']:g} statuses/s for {paced['seconds']:g} s"
    took = paced["to_forwarded_ms"] or {"p50": "-", "p99": "-"}
    for row in (
        (many, f"{backlog['statuses_per_second']} /s", "5,000 /s"),
        ("processor time of the worker, each", f"{backlog['worker_cpu_ms_per_status']} ms", ""),
        ("forwarded events a reader gets of them", f"{backlog['events_forwarded']}", ""),
        ("memory of the worker", f"{backlog['worker_rss_mb']} MB", ""),
        (f"{rate}: due to forwarded, p50", f"{took['p50']} ms", ""),
        ("the same, p99", f"{took['p99']} ms", "25 ms"),
        ("forwarded events a reader gets of them", f"{paced['events_forwarded']}", ""),
        ("share of a core: worker", f"{paced['worker_cpu_share']}", ""),
        ("sender behind its times, at most", f"{paced['sender_late_at_most_ms']} ms", ""),
        ("not acknowledged / scans whose last was not told / not told", _lost(result), "0 / 0 / 0"),
    ):
        table.add_row(*row)
    console.print(table)
    verdict = "nothing lost" if result["good"] else "NOT GOOD"
    console.print(f"{verdict} — {target}", soft_wrap=True)


def _lost(result: dict[str, Any]) -> str:
    backlog, paced = result["backlog"], result["steady"]
    last = backlog["scans_whose_last_was_not_told"]
    return f"{backlog['not_acknowledged']} / {last} / {paced['not_told']}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.statuses", description="Statuses of scans that run, at speed."
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench/statuses.json"))
    parser.add_argument("--statuses", type=int, default=30_000, help="of the backlog")
    parser.add_argument("--records", type=int, default=200, help="scans that they are of")
    parser.add_argument("--per-second", type=float, default=500.0, help="of the steady rate")
    parser.add_argument("--seconds", type=float, default=15.0, help="of the steady rate")
    return parser


if __name__ == "__main__":
    sys.exit(main())
