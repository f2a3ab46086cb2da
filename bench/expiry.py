"""How old entries expire: `python -m bench.expiry`, about six minutes.

The tables hold finished records that are older than the settings say, and as many that are not. A worker
starts on them, jobs come at a steady rate, and a minute later its sweep begins. No time is ever
asserted. Exit code 1 only if a job or a young row was lost, or a job started twice.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from bench.deaths import DEVICES, sending
from bench.expiry_rows import GROWING, LiveRows
from bench.frame import on_stand
from bench.load import Load
from bench.report import machine_line, percentiles
from bench.rows import fill
from bench.stand import Stand
from bench.watch import Watch
from sandbox.demo.usage import Usage
from settings import Settings
from streams.topics import Topics

RATE: Final = 20.0
_DAY_S: Final = 86_400
_SETTINGS: Final = {
    "SCANHUB_SCANS_PER_DEVICE": "0",
    "SCANHUB_FIRST_STATUS_S": "86400",
}
"""No queue and no deadlines, as nobody here reports a scan's end."""
_WARM_S: Final = 10.0
_BEGIN_S: Final = 150.0
_END_S: Final = 60.0
_PLAIN_WIDTH: Final = 120


def main() -> int:
    """Measure, print a table, write the figures, and give the exit code."""
    given = _parser().parse_args()
    return on_stand(
        given,
        "expiry",
        given.latency_ms,
        lambda stand, _, signals: {"records": given.records} | signals.run(_measure(stand, given)),
        print_expiry,
    )


async def _measure(stand: Stand, given: argparse.Namespace) -> dict[str, Any]:
    bootstrap, records = stand.kafka.bootstrap, given.records
    topics, settings = Topics(partitions=stand.partitions), Settings.from_environment({})
    days = settings.keep_records_days + 10
    for first, age_s in ((0, days * _DAY_S), (records, _DAY_S)):
        await fill(bootstrap, stand.app_id, topics, records, DEVICES, first=first, age_s=age_s)
    async with (
        LiveRows(bootstrap, stand.app_id, stand.partitions, records) as rows,
        Load(bootstrap, DEVICES) as load,
        Watch(bootstrap, stand.address, load, stand.check) as watch,
    ):
        await rows.caught_up()
        before = {kind: rows.tally.count(kind) for kind in ("old", "young")}
        stand.start("w1", _SETTINGS)
        await stand.ready("w1")
        ready, at_ready = time.monotonic(), stand.usage("w1")
        async with sending(load, RATE) as sent:
            began = await _until(stand, lambda: rows.first_gone is not None, _BEGIN_S)
            at_first = stand.usage("w1")
            limit_s = given.limit_s
            done = began and await _until(stand, lambda: not rows.tally.left(), limit_s)
            at_last = stand.usage("w1")
        lost = await watch.until_ended(set(sent), _END_S)
        await watch.look_for_starts()
        await stand.terminate("w1")
        await rows.caught_up()
        after = {kind: rows.tally.count(kind) for kind in ("old", "young", "other")}
    first, last = rows.first_gone, rows.last_gone
    edges = (ready + _WARM_S, first, last) if first and last else (ready + _WARM_S, None, None)
    young_lost = sum(before["young"].values()) - sum(after["young"].values())
    return {
        "rows_before": before,
        "rows_after": after,
        "settings_days": {
            "remember_requests": settings.remember_requests_days,
            "keep_records": settings.keep_records_days,
        },
        "all_old_gone": done,
        "ready_to_first_s": round(first - ready, 1) if first else None,
        "took_s": round(last - first, 1) if first and last else None,
        "rows_per_second": _rate(before, after, edges),
        "jobs_per_second": RATE,
        "to_device_task_ms": _latencies(watch, sent, edges),
        "worker_cpu_share": {
            "before": _share(at_ready, at_first, first and first - ready),
            "meanwhile": _share(at_first, at_last, first and last and last - first),
        },
        "worker_rss_mb": None if at_last is None else round(at_last.rss_mb),
        "jobs": len(sent),
        "jobs_not_ended": len(lost),
        "started_twice": watch.repeated_starts,
        "young_rows_lost": young_lost,
        "good": not lost and not watch.repeated_starts and not young_lost,
    }


async def _until(stand: Stand, true: Any, limit_s: float) -> bool:
    """Wait until something is true; False if that takes too long. Raises if a part has ended."""
    deadline = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > deadline:
            return False
        stand.check()
        await asyncio.sleep(0.2)
    return True


def _rate(before: Any, after: Any, edges: Any) -> float | None:
    _, first, last = edges
    gone = sum(before["old"].values()) - sum(after["old"].values())
    return round(gone / (last - first), 1) if first and last > first else None


def _share(before: Usage | None, after: Usage | None, seconds: float | None) -> float | None:
    if before is None or after is None or not seconds:
        return None
    return round((after.cpu_s - before.cpu_s) / seconds, 3)


def _latencies(watch: Watch, sent: dict[str, float], edges: Any) -> dict[str, Any]:
    """Give the time from a job's due time to its device task, before the sweep and meanwhile."""
    warm, first, last = edges
    end = float("inf")
    phases = {"before": (warm, first or end), "meanwhile": (first or end, last or end)}
    found = {}
    for phase, (since, until) in phases.items():
        tasks = [
            watch.tasks[n] - due
            for n, due in sent.items()
            if since <= due < until and n in watch.tasks
        ]
        found[phase] = {"jobs": len(tasks), **(percentiles(tasks) or {})}
    return found


def print_expiry(result: dict[str, Any], target: Path) -> None:
    """Print the rows before and after, and what live work felt of it."""
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    console.print(f"`{result['command']}`: {machine_line(result['machine'])}", soft_wrap=True)
    table = Table(title="Live rows", box=box.MARKDOWN, title_justify="left")
    for head in (
        "table",
        "old, before",
        "old, after",
        "young, before",
        "young, after",
        "this run's",
    ):
        table.add_column(head, justify="left" if head == "table" else "right")
    before, after = result["rows_before"], result["rows_after"]
    for name in GROWING:
        cells = [before["old"], after["old"], before["young"], after["young"], after["other"]]
        table.add_row(name, *(str(cell[name]) for cell in cells))
    console.print(table)
    took = f"{result['took_s']} s, {result['rows_per_second']} rows/s"
    console.print(
        f"ready to the first row gone: {result['ready_to_first_s']} s; all of them: {took};"
        f" all old rows gone: {'yes' if result['all_old_gone'] else 'NO'};"
        f" memory of the worker: {result['worker_rss_mb']} MB",
        soft_wrap=True,
    )
    for phase, found in result["to_device_task_ms"].items():
        figures = f"{found.get('p50', '-')} / {found.get('p99', '-')} / {found.get('max', '-')} ms"
        rate = f"{result['jobs_per_second']:g} jobs/s"
        share = f"the worker's share of a core {result['worker_cpu_share'][phase]}"
        what = f"{rate}, job sent to device task, {phase}: p50 / p99 / max {figures}"
        console.print(f"{what}; {share}", soft_wrap=True)
    verdict = "nothing lost, nothing started twice" if result["good"] else "NOT GOOD"
    console.print(
        f"{verdict}: {result['jobs']} jobs, {result['jobs_not_ended']} not ended,"
        f" {result['started_twice']} started twice, {result['young_rows_lost']} young rows lost"
        f" — {target}",
        soft_wrap=True,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.expiry", description="Old entries expire."
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench/expiry.json"))
    parser.add_argument("--records", type=int, default=10_000, help="old ones, and as many young")
    parser.add_argument("--limit-s", type=float, default=900, help="for the old ones to be gone")
    parser.add_argument("--latency-ms", type=float, default=5.0, help="of each manager's answer")
    return parser


if __name__ == "__main__":
    sys.exit(main())
