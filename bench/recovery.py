"""How recovery does with full tables: `python -m bench.recovery`, about a quarter of an hour.

One worker that is killed, stopped or begins anew (one), two of which one is lost (two), and a
scanner that hangs with 50,000 jobs waiting for it (crowd). No time is ever asserted. Exit code 1
only if a job was lost or started twice.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from bench.crowd import crowd
from bench.deaths import DEVICES, one_worker, two_workers
from bench.frame import on_stand
from bench.load import Load
from bench.recovery_report import print_recovery
from bench.rows import fill
from bench.stand import Stand
from bench.timeline import Timeline
from streams.topics import Topics

PARTS: Final = ("one", "two", "crowd")
_LIMITS_S: Final = {"one": 600, "two": 480, "crowd": 900}
_FIRST: Final = {"one": 1, "two": 2_000_001, "crowd": 3_000_001}


def main() -> int:
    """Measure, print tables, write the figures, and give the exit code."""
    given = _parser().parse_args()
    return on_stand(
        given,
        "recovery",
        given.latency_ms,
        lambda stand, _, signals: {"records": given.records} | signals.run(_parts(stand, given)),
        print_recovery,
    )


async def _parts(stand: Stand, given: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    topics = Topics(partitions=stand.partitions)
    rows = await fill(stand.kafka.bootstrap, stand.app_id, topics, given.records, DEVICES)
    result: dict[str, Any] = {"rows": rows, "fill_s": round(time.monotonic() - began, 1)}
    print(f"{rows} rows of {given.records} records in {result['fill_s']} s", flush=True)
    for part in given.part or PARTS:
        result[part] = await _part(stand, part, given)
        print(json.dumps({part: result[part]}), flush=True)
    result["good"] = all(result[part]["good"] for part in given.part or PARTS)
    return result


async def _part(stand: Stand, part: str, given: argparse.Namespace) -> dict[str, Any]:
    bootstrap = stand.kafka.bootstrap
    try:
        async with (
            asyncio.timeout(_LIMITS_S[part]),
            Load(bootstrap, DEVICES, first=_FIRST[part]) as load,
            Timeline(bootstrap, stand.address, load, stand.check) as watch,
        ):
            if part == "one":
                return await one_worker(stand, load, watch)
            if part == "two":
                return await two_workers(stand, load, watch)
            return await crowd(stand, load, watch, given.crowd)
    except TimeoutError:
        stand.kill_all()
        return {"good": False, "cause": f"not done within {_LIMITS_S[part]} s"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.recovery", description="Recovery with full tables."
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench/recovery.json"))
    parser.add_argument("--records", type=int, default=100_000, help="finished ones in the tables")
    parser.add_argument("--crowd", type=int, default=50_000, help="jobs for a scanner that hangs")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this one")
    parser.add_argument("--latency-ms", type=float, default=5.0, help="of each manager's answer")
    return parser


if __name__ == "__main__":
    sys.exit(main())
