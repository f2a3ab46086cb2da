"""Workflows side by side, a worker killed in the middle: each ends once, in order, and is done once."""

from pathlib import Path

import pytest

from sandbox.chaos.checker import SIDE_BY_SIDE, check, tell
from sandbox.chaos.figures import figures
from sandbox.chaos.flows import phase

COUNT = 50
DEVICES = 5


@pytest.mark.timeout(240)
async def test_fifty_workflows_outlive_a_kill_and_do_each_task_once(tmp_path: Path) -> None:
    options = phase.Options(seed=6, folder=tmp_path, count=COUNT, devices=DEVICES, scan_s=0.05)
    history = await phase.side_by_side(options, print)
    told = [tell(history, violation) for violation in check(history, SIDE_BY_SIDE)]
    assert not told, "\n\n".join(told)[:20_000]
    found = figures(history, [], history)["side by side"]
    assert found["ends"] == {"completed": COUNT}
    assert (found["devices"], found["kills"]) == (DEVICES, 1)
    # A service fails for every tenth, and its task is done once more.
    assert found["attempts"] == 3 * COUNT + COUNT // 10
