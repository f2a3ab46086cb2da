"""The demo of the queue as a newcomer runs it, without a terminal and with shorter outages."""

import re
import signal
import sys
from pathlib import Path

import pytest

from sandbox.kafka import EmbeddedKafka
from tests.integration.demos import LIMIT_S, processes_of, running

DEMO = "sandbox.demo_queue"
SHORT = (
    "--away-seconds=2", "--off-seconds=1", "--scan-seconds=2", "--first-scan-seconds=4",
)  # fmt: skip
STORY = (
    r"^1\. Four jobs are submitted",
    r" job-4 +QUEUED, place 3: ",
    r"^  \$ faust -A faust_app queue mri-1$",
    r"^2\. A fifth job comes, and it is urgent",
    r" urgent +QUEUED, place 1: ",
    r" job-4 +QUEUED, now at place 4$",
    r"^3\. Somebody cancels job-3",
    r"^  \$ faust -A faust_app cancel job-3$",
    r"^4\. urgent's START is due",
    r"^  \| .*urgent.*READY|^  \| .*READY.*urgent",
    r"switched on again",
    r" urgent, record \d+ +RUNNING",
    r"^5\. The exam manager is away for 2 s",
    r" job-2 +WAITING: ",
    r"The exam manager is back",
    r"^6\. The scanner takes job-2's START",
    r" job-2, record \d+ +READY$",
    r" job-2, record \d+ +UNKNOWN: ",
    r"^  \| .*job-4.*QUEUED|^  \| .*QUEUED.*job-4",
    r"^Look at the scanner\. Was it started\? Nobody is asked",
    r"^  \$ faust -A faust_app confirm \d+ started$",
    r"^7\. All others go on",
    r" job-4, record \d+ +COMPLETED$",
)
"""What is to be read, in this order; other lines may stand between."""
SWITCHED_OFF = r" urgent, record \d+ +waits and tries again: no connection to the device was made$"
"""Somewhere: on a slow machine the first scan ends while the command before it is still typed."""


@pytest.mark.timeout(LIMIT_S + 40)
def test_the_story_comes_as_told(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    assert kafka.running  # skipped where no broker can run
    out = tmp_path / "out"
    with running(DEMO, out, *SHORT) as process:
        text, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, text
    lines = text.splitlines()
    assert lines[-1].startswith(
        "demo-queue: 4 completed, 1 cancelled, 0 lost, 0 started twice, never two scans at once; "
    ), text
    rest = iter(lines)
    missing = [pattern for pattern in STORY if not any(re.search(pattern, line) for line in rest)]
    assert missing[:1] == [], f"not in its place in:\n{text}"
    assert re.search(SWITCHED_OFF, text, re.MULTILINE), text
    assert "\x1b" not in text
    assert len((out / "logs" / "starts-mri-1.log").read_text().splitlines()) == 4
    assert list((tmp_path / "tmp").iterdir()) == []
    assert processes_of(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc shows what is left running")
@pytest.mark.timeout(LIMIT_S + 40)
def test_ctrl_c_while_a_command_runs_leaves_nothing(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    assert kafka.running
    with running(DEMO, tmp_path / "out", *SHORT) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if re.search(r" job-1, record \d+ +RUNNING", line):
                break
        else:
            pytest.fail("".join(seen))
        assert processes_of(tmp_path)  # so that an empty list below means something
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=40)
        assert process.returncode == 128 + signal.SIGINT, rest
        assert rest.splitlines()[-1] == "stopped: nothing is left running"
        assert processes_of(tmp_path) == []
    assert list((tmp_path / "tmp").iterdir()) == []
