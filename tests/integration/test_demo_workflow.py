"""The demo of workflows as a newcomer runs it, without a terminal."""

import re
from pathlib import Path

import pytest

from sandbox.kafka import EmbeddedKafka
from tests.integration.demos import LIMIT_S, processes_of, running

DEMO = "sandbox.demo_workflow"
STORY = (
    r"^1\. At the exam manager lies a workflow",
    r"^  \$ faust -A faust_app workflow [0-9a-f-]{36} --start --watch$",
    r"^  \| state     running$",
    r"^  \| \S+  task 1  COMPLETED    DEVICE_TASK  mri-0001  record [0-9a-f-]{36}$",
    r"^  \| \S+  task 2  COMPLETED    PROCESSING_TASK  reco-jobs  record ",
    r"^  \| \S+  task 3  COMPLETED    CERTIFIED_PROCESSING_TASK  mri_denoise$",
    r"^  \| \S+  workflow completed$",
    r"^  \(exit code 0\)$",
    r"has: tasks COMPLETED, COMPLETED, COMPLETED; the workflow is finished\.$",
    r"^2\. A second one",
    r"^  \| \S+  workflow failed: task \S+: its processing service reported a failure$",
    r"^  \(exit code 3\)$",
    r"has: tasks COMPLETED, COMPLETED, FAILED; the workflow is not finished\.$",
    r"^3\. Somebody starts it once more",
    r"^  \| note      it is not started anew",
    r"^  \(exit code 1\)$",
    r"^4\. Somebody has seen to the service",
    r"^  \$ faust -A faust_app workflow [0-9a-f-]{36} --resume --watch$",
    r"^  \| .*CERTIFIED_PROCESSING_TASK .*attempt 2",
    r"^  \| \S+  workflow completed$",
    r"^  \(exit code 0\)$",
    r"has: tasks COMPLETED, COMPLETED, COMPLETED; the workflow is finished\.$",
)
"""What is to be read, in this order; other lines may stand between."""


@pytest.mark.timeout(LIMIT_S + 40)
def test_both_workflows_run_to_their_ends(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    assert kafka.running  # skipped where no broker can run
    out = tmp_path / "out"
    with running(DEMO, out, "--scan-seconds=1") as process:
        text, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, text
    lines = text.splitlines()
    assert lines[-1].startswith(
        "demo-workflow: 2 of 2 workflows completed, one after a failure and a resume; each of their"
        " 6 tasks done once, in order, and COMPLETED at the exam manager; checked: "
    ), text
    rest = iter(lines)
    missing = [pattern for pattern in STORY if not any(re.search(pattern, line) for line in rest)]
    assert missing[:1] == [], f"not in its place in:\n{text}"
    assert "\x1b" not in text
    assert "patient" not in text  # no args of a task are shown
    assert len((out / "logs" / "starts-mri-0001.log").read_text().splitlines()) == 2
    assert list((tmp_path / "tmp").iterdir()) == []
    assert processes_of(tmp_path) == []
