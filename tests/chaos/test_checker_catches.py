"""The checker can fail: with one protection switched off it finds what that protection prevents.

Each is a short run against real processes, with the faults that make it show. All runs go on side by
side: most of their time is waiting.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SECONDS: Final = 20
DEVICES: Final = ("mri-1", "mri-2", "mri-3")
Plan = list[list[Any]]

KILLS: Final[Plan] = [[7, "worker-kill", "w1", 0.5, {}], [15, "worker-kill", "w1", 0.5, {}]]
SLOW_DEVICES: Final[Plan] = [
    [1, "device-slow", device, 17, {"answer_latency_ms": 2500}] for device in DEVICES
]
SLOW_EXAMS: Final[Plan] = [[1, "manager-slow", "manager-exam", 17, {"latency_ms": 2000}]]
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
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Start all runs; each ends by itself."""
    with ExitStack() as stack:
        started = {}
        for broken, (plan, _) in CASES.items():
            folder = tmp_path_factory.mktemp(f"chaos-{broken or 'whole'}")
            (folder / "plan.json").write_text(json.dumps(plan))
            command = [
                sys.executable, "-m", "sandbox.chaos", "--seed", "5", "--minutes", str(SECONDS / 60),
                "--jobs", "150", "--workers", "1", "--devices", str(len(DEVICES)),
                "--plan", str(folder / "plan.json"), "--out", str(folder),
                "--app", "tests.chaos.broken_app", "--quiet", "10", "--no-restart",
            ]  # fmt: skip
            process = subprocess.Popen(  # noqa: S603 - our own command line
                command,
                cwd=ROOT,
                env={**os.environ, "CHAOS_BREAK": broken},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            started[broken] = process
        yield started


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=200)
    return process.returncode, output


@pytest.mark.timeout(240)
@pytest.mark.parametrize("broken", [name for name in CASES if name])
def test_the_checker_sees_what_is_switched_off(
    runs: dict[str, subprocess.Popen[str]], broken: str
) -> None:
    code, output = outcome(runs[broken])
    assert code == 1, output[-4000:]
    found = [line for line in output.splitlines() if line.startswith("VIOLATION (seed 5)")]
    assert any(re.search(CASES[broken][1], line) for line in found), "\n".join(found)


@pytest.mark.timeout(240)
def test_the_whole_processor_passes_under_the_same_faults(
    runs: dict[str, subprocess.Popen[str]],
) -> None:
    code, output = outcome(runs[""])
    assert code == 0, output[-4000:]
