"""How recovery does with full tables: `python -m bench.recovery`, about a quarter of an hour.

One worker that is killed, stopped or begins anew (one), two of which one is lost (two), and a
scanner that hangs with 50,000 jobs waiting for it (crowd). No time is ever asserted. Exit code 1
only if a job was lost or started twice.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench.crowd import crowd
from bench.deaths import DEVICES, one_worker, two_workers
from bench.load import Load
from bench.machine import facts
from bench.recovery_report import print_recovery
from bench.rows import fill
from bench.stand import Stand
from bench.timeline import Timeline
from sandbox.demo.stopping import Interrupted, Interruptible
from sandbox.kafka import KafkaFailedError, KafkaUnavailableError
from sandbox.processes import ProcessFailedError
from streams.topics import Topics

PARTS: Final = ("one", "two", "crowd")
_LIMITS_S: Final = {"one": 600, "two": 480, "crowd": 900}
_FIRST: Final = {"one": 1, "two": 2_000_001, "crowd": 3_000_001}


def main() -> int:
    """Measure, print tables, write the figures, and give the exit code."""
    given = _parser().parse_args()
    try:
        with (
            Interruptible() as signals,
            tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder,
            Stand(Path(folder), given.out.parent / "logs", given.latency_ms) as stand,
        ):
            result = {
                "command": f"python -m bench.recovery {' '.join(sys.argv[1:])}".rstrip(),
                "machine": facts(),
                "latency_ms": given.latency_ms,
                "records": given.records,
            }
            result |= signals.run(_parts(stand, given))
    except Interrupted as interrupted:
        print("stopped: nothing is left running", file=sys.stderr)
        return interrupted.exit_code
    except (KafkaUnavailableError, KafkaFailedError, ProcessFailedError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    print_recovery(result, given.out)
    return 0 if result["good"] else 1


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
