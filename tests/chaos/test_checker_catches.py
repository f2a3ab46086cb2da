"""The checker can fail: with one protection switched off it finds what that protection prevents.

Each is a short run against real processes, with the faults that make it show. A few of them go on side
by side: most of their time is waiting.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
DEVICES: Final = ("mri-1", "mri-2", "mri-3")
AT_ONCE: Final = 2
Plan = list[list[Any]]


class Run(NamedTuple):
    """How a run ended, and what it said."""

    code: int
    output: str


class Case(NamedTuple):
    """The faults that make a switched-off protection show, and what the checker must say."""

    plan: Plan
    words: str
    seconds: int = 20
    jobs: int = 60
    settle_s: int = 75
    """So long after its faults a run may take; a queue that stands still is not waited for."""


KILLS: Final[Plan] = [[7, "worker-kill", "w1", 0.5, {}], [15, "worker-kill", "w1", 0.5, {}]]
SLOW_EXAMS: Final[Plan] = [[1, "manager-slow", "manager-exam", 17, {"latency_ms": 1500}]]
HOLD: Final[Plan] = [[2, "hold-and-kill", "w1", 10, {"device": "mri-1"}]]
DROPPED_RECORDS: Final[Plan] = [[2, "manager-drop", "manager-exam", 10, {"drop_after_rate": 0.6}]]


def slow_devices(**knobs: float) -> Plan:
    return [[1, "device-slow", device, 17, knobs] for device in DEVICES]


CASES: Final[dict[str, Case]] = {
    "": Case(DROPPED_RECORDS + slow_devices(answer_latency_ms=1200) + KILLS, ""),
    "adoption": Case(DROPPED_RECORDS, r"records: \d+ records were made, and no two owners could"),
    # The scan goes on while its START is not yet answered: nothing but the intent tells of it.
    "intent": Case(
        slow_devices(answer_latency_ms=2500, scan_seconds=3) + KILLS,
        r"started: record \d+ was started 2 times",
    ),
    "ack": Case(SLOW_EXAMS + KILLS, r"ended: the job (for|of)"),
    "letter": Case(KILLS, r"letters: bad-\S+ is malformed, and is no dead letter"),
    # Two owners of one device: what shows of it first depends on whose jobs cross.
    "partition": Case(
        [],
        r"records: (events name 2 records|\d+ records were made)|alone: mri-\d was given record"
        r"|ordered: mri-\d went on with|hold: mri-\d was on hold",
    ),
    "lease": Case([], r"alone: mri-\d was given record \d+, and \d+ was", 10, 30),
    "release": Case([], r"ended: the job for mri-\d came as far as QUEUED", 10, 30, 25),
    "hold": Case(HOLD, r"hold: mri-1 was on hold, and record \d+ was started on it", 14, 40),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, "Future[Run]"]]:
    """Start all runs, a few at a time; each ends by itself."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            broken: pool.submit(run, broken, case, tmp_path_factory.mktemp(f"chaos-{broken}-"))
            for broken, case in CASES.items()
        }
        pool.shutdown(wait=True, cancel_futures=True)


def run(broken: str, case: Case, folder: Path) -> Run:
    (folder / "plan.json").write_text(json.dumps(case.plan))
    command = [
        sys.executable, "-m", "sandbox.chaos", "--seed", "5", "--minutes", str(case.seconds / 60),
        "--jobs", str(case.jobs), "--workers", "1", "--devices", str(len(DEVICES)),
        "--plan", str(folder / "plan.json"), "--out", str(folder),
        "--app", "tests.chaos.broken_app", "--quiet", "20", "--settle", str(case.settle_s),
        "--no-restart", "--fuzz", "0", "--workflows", "0", "--era", "integer",
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603 - our own command line
        command,
        cwd=ROOT,
        env={**os.environ, "CHAOS_BREAK": broken},
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    return Run(done.returncode, done.stdout + done.stderr)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("broken", [name for name in CASES if name])
def test_the_checker_sees_what_is_switched_off(runs: dict[str, "Future[Run]"], broken: str) -> None:
    code, output = runs[broken].result()
    assert code == 1, output[-4000:]
    found = [line for line in output.splitlines() if line.startswith("VIOLATION (seed 5)")]
    assert any(re.search(CASES[broken].words, line) for line in found), "\n".join(found)


@pytest.mark.timeout(400)
def test_the_whole_processor_passes_under_the_same_faults(
    runs: dict[str, "Future[Run]"],
) -> None:
    code, output = runs[""].result()
    assert code == 0, output[-4000:]
