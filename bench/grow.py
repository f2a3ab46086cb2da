"""Flat as it grows: `python -m bench.grow`, about an hour with a million records.

The same measurement with 1,000, 100,000 and 1,000,000 finished records in the tables: a start without
local state, rounds of a backlog and of 50 jobs/s, and SIGKILL with a restart at once. All sizes lie on
one broker, and their rounds take turns, so that a noisy minute does not strike one size alone. Queue
and gateway are off. No time is ever asserted. Exit code 1 only if a job was lost or started twice.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.frame import on_stand
from bench.grow_report import print_grow
from bench.grow_rounds import DEVICES, RATE, Rounds
from bench.grow_size import Space, label
from bench.rows import fill
from bench.stand import Stand

RECORDS: Final = (1000, 100_000, 1_000_000)


def main() -> int:
    """Measure, print a table, write the figures, and give the exit code."""
    given = _parser().parse_args()
    given_too = {"devices": DEVICES, "per_second": RATE}
    return on_stand(
        given,
        "grow",
        given.latency_ms,
        lambda stand, folder, signals: (
            given_too | signals.run(_sizes(stand, folder / "state", given))
        ),
        print_grow,
    )


async def _sizes(stand: Stand, state: Path, given: argparse.Namespace) -> dict[str, Any]:
    sizes = [Space(f"g{label(n)}", stand.partitions, n) for n in sorted(set(given.records))]
    measured = {size: Rounds(stand, size, state) for size in sizes}
    found: dict[Space, dict[str, Any]] = {}
    for size in sizes:
        found[size] = {"records": size.records, **await _filled(stand, size)}
        _say(size, filled=found[size])
    for size in sizes:
        found[size]["cold_start"] = await measured[size].cold(found[size]["rows"])
        _say(size, cold_start=found[size]["cold_start"])
    for number in range(given.rounds):
        # In turn, and every other time from the other end: what warms up or wears out hits all.
        for size in sizes if number % 2 == 0 else reversed(sizes):
            one = await measured[size].round(given.jobs, given.seconds)
            found[size].setdefault("rounds", []).append(one)
            _say(size, round=one)
    for size in sizes:
        found[size]["kills"] = await measured[size].kills(given.kills)
        _say(size, kills=found[size]["kills"])
    for size, rounds in measured.items():
        for key in ("jobs_per_second", "tasks_per_second", "worker_cpu_ms_per_job"):
            found[size][key] = _median(found[size]["rounds"], key)
        found[size] |= {
            "jobs_sent": rounds.sent,
            "jobs_not_ended": rounds.lost,
            "names_not_ended": rounds.missing,
            "started_twice": rounds.twice,
        }
    return {
        "sizes": list(found.values()),
        "good": not any(rounds.lost or rounds.twice for rounds in measured.values()),
    }


async def _filled(stand: Stand, size: Space) -> dict[str, Any]:
    began = time.monotonic()
    bootstrap = stand.kafka.bootstrap
    rows = await fill(bootstrap, size.app_id, size.topics, size.records, DEVICES)
    return {"rows": rows, "fill_s": round(time.monotonic() - began, 1)}


def _median(rounds: list[dict[str, Any]], key: str) -> float | None:
    values = [one[key] for one in rounds if one[key] is not None]
    return round(median(values), 3) if values else None


def _say(size: Space, **measured: Any) -> None:
    print(json.dumps({"size": size.name, **measured}), flush=True)


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("a number of records is 1 or more")
    return numbers


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.grow", description="The same load with small and large tables."
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench/grow.json"))
    parser.add_argument(
        "--records", type=_numbers, default=list(RECORDS), help="sizes, separated by commas"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of each size, in turn")
    parser.add_argument("--jobs", type=int, default=6000, help="of the backlog in each round")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the steady rate")
    parser.add_argument("--kills", type=int, default=3, help="of each size")
    parser.add_argument("--latency-ms", type=float, default=5.0, help="of each manager's answer")
    return parser


if __name__ == "__main__":
    sys.exit(main())
