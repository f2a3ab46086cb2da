"""The bounded run: two minutes of every kind of fault, then bad input; every promise is kept."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from models.workflow import WorkflowRequestKind
from sandbox.chaos.plan import Kind

ROOT: Final = Path(__file__).resolve().parents[2]
SEED: Final = 11
FUZZ: Final = 1_500


@pytest.mark.timeout(420)
def test_under_all_kinds_of_faults_nothing_is_lost_and_nothing_started_twice(
    tmp_path: Path,
) -> None:
    command = [
        sys.executable, "-m", "sandbox.chaos", "--seed", str(SEED), "--minutes", "2",
        "--fuzz", str(FUZZ), "--workflows", "0", "--out", str(tmp_path),
        "--report", str(tmp_path / "reliability.md"),
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603 - our own command line
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=400
    )

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    summary = done.stdout.splitlines()[-1]
    assert summary.startswith(f"chaos seed {SEED}: ")
    assert summary.endswith("nothing violated")
    figures = json.loads((tmp_path / f"seed-{SEED}.json").read_text())["figures"]
    struck = {Kind(kind) for kind in figures["faults"]}
    left_out = {Kind.DISK_FULL} if "disk-full is left out" in done.stdout else set()
    assert struck == set(Kind) - left_out
    assert figures["jobs"] >= 200
    assert figures["malformed"] > 0
    # Workflows side by side are in tests/integration/test_side_by_side.py; these are under faults.
    assert figures["workflows"]["count"] >= 15
    assert figures["workflows"]["ends"]["completed"] >= 10
    assert set(figures["workflows"]["requests"]) == set(WorkflowRequestKind)
    assert figures["fuzz"]["messages"] == FUZZ
    assert f"seed {SEED}" in (tmp_path / "reliability.md").read_text()
