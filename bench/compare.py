"""The comparison: `python -m bench.compare`, about seven minutes.

This processor, a bare aiokafka loop, a naive Faust agent and the old HTTP way do the same jobs on
the same machine, one after the other, in rounds. No time is ever asserted. Exit code 1 only if one
of our jobs was lost or had two tasks or records.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException

from bench.compare_bus import DEVICES, PARTITIONS, Jobs
from bench.compare_figures import faults, summarise
from bench.compare_phases import Plan, turn
from bench.compare_report import print_comparison
from bench.compare_stand import RIVALS, CompareStand
from bench.compare_stub import check_rate
from bench.frame import run
from bench.load import SEQUENCES
from bench.machine import facts
from bench.plot import draw

OUT: Final = Path("out/bench/compare.json")
_CHECK_S: Final = 2.0


def main() -> int:
    """Measure, print tables, write the figures, and give the exit code."""
    given = _parser().parse_args()

    def show(result: dict[str, Any]) -> None:
        print_comparison(result)
        picture = given.out.with_suffix(".png")
        draw(result, picture)
        print(f"{given.out} and {picture}")

    return run(given, lambda folder, _: _measure(given, folder), show, KafkaException)


def _measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    machine = facts()
    plan = Plan(
        jobs=given.jobs,
        per_second=given.per_second,
        seconds=given.seconds,
        latency_ms=given.latency_ms,
        share_503=given.share_503,
    )
    jobs = Jobs()
    rounds, loads = [], []
    with CompareStand(folder, given.out.parent / "logs", given.latency_ms) as stand:
        stub_per_second = check_rate(stand.stub, _CHECK_S, given.latency_ms)
        print(f"manager stub: {stub_per_second:,.0f} requests/s without latency", flush=True)
        for number in range(1, given.rounds + 1):
            loads.append(round(os.getloadavg()[0], 2))
            measured = {}
            for name in given.only:
                measured[name] = turn(stand, name, number, jobs, plan)
                rate = measured[name]["jobs_per_second"]
                print(f"round {number} of {given.rounds}: {name} {rate} jobs/s", flush=True)
            rounds.append(measured)
    found = faults(rounds)
    return {
        "command": f"python -m bench.compare {' '.join(sys.argv[1:])}".rstrip(),
        "machine": machine,
        "load_before_rounds": loads,
        "stub_per_second": round(stub_per_second),
        "latency_ms": given.latency_ms,
        "share_503": given.share_503,
        "partitions": PARTITIONS,
        "devices": DEVICES,
        "sequences": len(SEQUENCES),
        "rounds": rounds,
        "summary": summarise(rounds),
        "faults": found,
        "good": not any(found.values()),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--rounds", type=_positive, default=3, help="each with all rivals in turn")
    parser.add_argument(
        "--jobs", type=_positive, default=8000, help="of a backlog; slow ones: fewer"
    )
    parser.add_argument("--per-second", type=float, default=50.0, help="jobs, for the latency")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the steady rate")
    parser.add_argument("--latency-ms", type=float, default=5.0, help="of each manager's answer")
    parser.add_argument("--share-503", type=float, default=0.05, help="0: no such phase")
    parser.add_argument(
        "--only", type=_rivals, default=RIVALS, help=f"some of {','.join(RIVALS)}, by commas"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _rivals(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := sorted(set(names) - set(RIVALS)):
        raise argparse.ArgumentTypeError(f"no such rival: {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
