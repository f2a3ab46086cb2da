"""A short measurement: `python -m bench.smoke`, about a minute.

One processor with a broker, a stub for all managers and 50 devices, all on this machine. No time is
ever asserted. Exit code 1 only if a job was lost or started twice.
"""

import argparse
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.frame import run
from bench.load import Load
from bench.machine import facts
from bench.report import percentiles, print_report
from bench.watch import Watch
from sandbox.demo.parts import ROOT, WORKER, worker_environment
from sandbox.demo.stopping import Interruptible
from sandbox.demo.usage import Usage, usage_of
from sandbox.kafka import EmbeddedKafka
from sandbox.processes import Process, ProcessGroup

DEVICES: Final = 50
RATE: Final = 20.0
SECONDS: Final = 20.0
JOBS: Final = 4000
_START_S: Final = 40.0
_SETTLE_S: Final = 5.0
_SUSTAINED_S: Final = 50.0
_ENDED_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """What is measured, and what it is measured with."""

    bootstrap: str
    address: str
    worker: Process
    stub: Process

    def check(self) -> None:
        """Raise ProcessFailedError if one of the two has ended."""
        for process in (self.worker, self.stub):
            if (code := process.exit_code) is not None:
                raise process.failure(f"ended by itself with {code}")


def main() -> int:
    """Measure, print a table, write the figures, and give the exit code."""
    given = _parser().parse_args()
    return run(
        given,
        lambda folder, signals: _measure(given, folder, signals),
        lambda result: print_report(result, given.out),
    )


def _measure(given: argparse.Namespace, folder: Path, signals: Interruptible) -> dict[str, Any]:
    machine = facts()
    with ExitStack() as stack:
        kafka = stack.enter_context(EmbeddedKafka(folder / "kafka"))
        group = stack.enter_context(ProcessGroup(given.out.parent / "logs"))
        latency = str(given.latency_ms)
        stub_command = [sys.executable, "-m", "bench.stub", "--latency-ms", latency]
        stub = group.start("stub", stub_command, cwd=ROOT)
        address = json.loads(stub.wait_for_line("{", _START_S))["address"]
        served = dict.fromkeys(("sequence", "exam", "device"), address)
        env = worker_environment(kafka.bootstrap, folder, served)
        env["SCANHUB_SCANS_PER_DEVICE"] = "0"  # no scan ever ends here
        worker = group.start("worker", WORKER, env=env, cwd=ROOT)
        worker.wait_for_line("Worker ready", _START_S)
        running = Running(kafka.bootstrap, address, worker, stub)
        measured = signals.run(_phases(running, given))
    return {
        "command": f"python -m bench.smoke {' '.join(sys.argv[1:])}".rstrip(),
        "machine": machine,
        "latency_ms": given.latency_ms,
        "devices": DEVICES,
        **measured,
    }


async def _phases(running: Running, given: argparse.Namespace) -> dict[str, Any]:
    async with (
        Load(running.bootstrap, DEVICES) as load,
        Watch(running.bootstrap, running.address, load, running.check) as watch,
    ):
        warm, _ = await load.at_once(DEVICES)  # connections, imports, caches
        await watch.until_started(warm, _SETTLE_S)
        paced, paced_names = await _paced(watch, load, given.seconds)
        names = warm | paced_names
        sustained, sustained_names = await _sustained(watch, load, running, given.jobs)
        names |= sustained_names
        lost = await watch.until_ended(names, _ENDED_S)
        await watch.look_for_starts()
        return {
            "paced": paced,
            "sustained": sustained,
            "jobs_sent": len(names),
            "jobs_not_ended": len(lost),
            "device_tasks": len(watch.tasks.keys() & names),
            "starts": len(watch.starts.keys() & names),
            "started_twice": watch.repeated_starts,
            "good": not lost and not watch.repeated_starts,
        }


async def _paced(watch: Watch, load: Load, seconds: float) -> tuple[dict[str, Any], set[str]]:
    """Measure how long a job takes to become a device task while there is no hurry."""
    sent = await load.at_rate(RATE, seconds)
    await watch.until_started(set(sent), _SETTLE_S)
    to_task = [watch.tasks[name] - due for name, due in sent.items() if name in watch.tasks]
    to_start = [watch.starts[name] - due for name, due in sent.items() if name in watch.starts]
    figures = {
        "jobs": len(sent),
        "per_second": RATE,
        "to_device_task_ms": percentiles(to_task),
        "to_start_ms": percentiles(to_start),
    }
    return figures, set(sent)


async def _sustained(
    watch: Watch, load: Load, running: Running, jobs: int
) -> tuple[dict[str, Any], set[str]]:
    """Measure how many jobs go through when all are there at once, and what each costs."""
    before, stub_before = usage_of(running.worker.pid), usage_of(running.stub.pid)
    names, began = await load.at_once(jobs)
    await watch.until_started(names, _SUSTAINED_S)
    after, stub_after = usage_of(running.worker.pid), usage_of(running.stub.pid)
    wall_s = time.monotonic() - began
    tasks = [at for name, at in watch.tasks.items() if name in names]
    starts = [at for name, at in watch.starts.items() if name in names]
    figures = {
        "jobs": len(names),
        "started": len(starts),
        "tasks_per_second": _rate(tasks, began),
        "starts_per_second": _rate(starts, began),
        "worker_cpu_ms_per_job": _cpu(before, after, 1000 / max(1, len(starts))),
        "worker_cpu_share": _cpu(before, after, 1 / wall_s),
        "stub_cpu_share": _cpu(stub_before, stub_after, 1 / wall_s),
        "worker_rss_mb": None if after is None else round(after.rss_mb),
        "worker_most_mb": None if after is None else round(after.most_mb),
    }
    return figures, names


def _rate(times: list[float], began: float) -> float | None:
    return round(len(times) / (max(times) - began), 1) if times else None


def _cpu(before: Usage | None, after: Usage | None, factor: float) -> float | None:
    return (
        None if before is None or after is None else round((after.cpu_s - before.cpu_s) * factor, 3)
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.smoke", description="A short measurement of one processor."
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench/smoke.json"))
    parser.add_argument("--latency-ms", type=float, default=5.0, help="of each manager's answer")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the steady rate")
    parser.add_argument("--jobs", type=int, default=JOBS, help="sent at once")
    return parser


if __name__ == "__main__":
    sys.exit(main())
