"""More workers: `python -m bench.scale`, about a quarter of an hour.

A backlog with one, two and four workers on the same partitions, managers that answer in 50 ms; and what
is felt at a steady rate when a worker joins, is stopped, or is killed and comes back. Queue and gateway
are off. No time is ever asserted. Exit code 1 only if a job was lost or started twice.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from bench.frame import on_stand
from bench.grow_size import Space
from bench.rows import fill
from bench.scale_changes import DEVICES, RATE, Changes
from bench.scale_rates import Rates
from bench.scale_report import print_scale
from bench.stand import Stand
from sandbox.demo.stopping import Interruptible

PARTS: Final = ("rates", "changes")


def main() -> int:
    """Measure, print tables, write the figures, and give the exit code."""
    given = _parser().parse_args()

    def parts(stand: Stand, _: Path, signals: Interruptible) -> dict[str, Any]:
        return {
            "partitions": stand.partitions,
            "devices": DEVICES,
            "per_second": RATE,
            "records": given.records,
        } | signals.run(_parts(stand, given.out.parent / "logs", given))

    return on_stand(given, "scale", given.latency_ms, parts, print_scale)


async def _parts(stand: Stand, logs: Path, given: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {}
    measured: list[Rates | Changes] = []
    parts = given.part or PARTS
    if "rates" in parts:
        space = Space("rates", stand.partitions, given.records)
        await fill(stand.kafka.bootstrap, space.app_id, space.topics, space.records, DEVICES)
        rates = Rates(stand, space)
        measured.append(rates)
        result["rates"] = []
        for _ in range(given.rounds):  # in turn, so that a noisy minute does not strike one alone
            for in_flight in given.in_flight:
                for workers in given.workers:
                    one = await rates.measure(workers, in_flight, given.jobs)
                    result["rates"].append(one)
                    print(json.dumps(one), flush=True)
    if "changes" in parts:
        space = Space("changes", stand.partitions, given.records)
        await fill(stand.kafka.bootstrap, space.app_id, space.topics, space.records, DEVICES)
        changes = Changes(stand, space, logs)
        measured.append(changes)
        result["changes"] = await changes.run(given.times, first=1)
        print(json.dumps({"changes": result["changes"]}), flush=True)
    return {
        **result,
        "jobs_sent": sum(one.jobs for one in measured),
        "jobs_not_ended": sum(one.lost for one in measured),
        "names_not_ended": [name for one in measured for name in one.missing],
        "started_twice": sum(one.twice for one in measured),
        "good": not any(one.lost or one.twice for one in measured),
    }


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="More workers.")
    parser.add_argument("--out", type=Path, default=Path("out/bench/scale.json"))
    parser.add_argument("--workers", type=_numbers, default=[1, 2, 4], help="how many, by commas")
    parser.add_argument(
        "--in-flight", type=_numbers, default=[10, 100], help="SCANHUB_IN_FLIGHT, by commas"
    )
    parser.add_argument("--jobs", type=int, default=3000, help="of each backlog")
    parser.add_argument("--rounds", type=int, default=3, help="of each number of workers, in turn")
    parser.add_argument("--times", type=int, default=3, help="each change")
    parser.add_argument("--records", type=int, default=20_000, help="finished ones in the tables")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this one")
    parser.add_argument("--latency-ms", type=float, default=50.0, help="of each manager's answer")
    return parser


if __name__ == "__main__":
    sys.exit(main())
