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
SECONDS: Final = 20
DEVICES: Final = ("mri-1", "mri-2", "mri-3")
AT_ONCE: Final = 2
Plan = list[list[Any]]


class Run(NamedTuple):
    """How a run ended, and what it said."""

    code: int
    output: str


KILLS: Final[Plan] = [[7, "worker-kill", "w1", 0.5, {}], [15, "worker-kill", "w1", 0.5, {}]]
SLOW_DEVICES: Final[Plan] = [
    [1, "device-slow", device, 17, {"answer_latency_ms": 1200}] for device in DEVICES
]
SLOW_EXAMS: Final[Plan] = [[1, "manager-slow", "manager-exam", 17, {"latency_ms": 1500}]]
DROPPED_RECORDS: Final[Plan] = [[2, "manager-drop", "manager-exam", 10, {"drop_after_rate": 0.6}]]

# What is switched off, the faults that make it show, and what the checker must say.
CASES: Final[dict[str, tuple[Plan, str]]] = {
    "": (DROPPED_RECORDS + SLOW_DEVICES + KILLS, ""),
    "adoption": (DROPPED_RECORDS, r"records: \d+ records were made, and no two owners could have"),
    "intent": (SLOW_DEVICES + KILLS, r"started: record \d+ was started 2 times"),
    "ack": (SLOW_EXAMS + KILLS, r"ended: the job (for|of)"),
    "letter": (KILLS, r"letters: bad-\S+ is malformed, and is no dead letter"),
    "partition": ([], r"records: (events name 2 records|\d+ records were made)"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, "Future[Run]"]]:
    """Start all runs, a few at a time; each ends by itself."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            broken: pool.submit(run, broken, plan, tmp_path_factory.mktemp(f"chaos-{broken}-"))
            for broken, (plan, _) in CASES.items()
        }
        pool.shutdown(wait=True, cancel_futures=True)


def run(broken: str, plan: Plan, folder: Path) -> Run:
    (folder / "plan.json").write_text(json.dumps(plan))
    command = [
        sys.executable, "-m", "sandbox.chaos", "--seed", "5", "--minutes", str(SECONDS / 60),
        "--jobs", "60", "--workers", "1", "--devices", str(len(DEVICES)),
        "--plan", str(folder / "plan.json"), "--out", str(folder),
        "--app", "tests.chaos.broken_app", "--quiet", "15", "--no-restart", "--fuzz", "0",
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603 - our own command line
        command,
        cwd=ROOT,
        env={**os.environ, "CHAOS_BREAK": broken},
        check=False,
        capture_output=True,
        text=True,
        timeout=150,
    )
    return Run(done.returncode, done.stdout + done.stderr)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("broken", [name for name in CASES if name])
def test_the_checker_sees_what_is_switched_off(runs: dict[str, "Future[Run]"], broken: str) -> None:
    code, output = runs[broken].result()
    assert code == 1, output[-4000:]
    found = [line for line in output.splitlines() if line.startswith("VIOLATION (seed 5)")]
    assert any(re.search(CASES[broken][1], line) for line in found), "\n".join(found)


@pytest.mark.timeout(400)
def test_the_whole_processor_passes_under_the_same_faults(
    runs: dict[str, "Future[Run]"],
) -> None:
    code, output = runs[""].result()
    assert code == 0, output[-4000:]
