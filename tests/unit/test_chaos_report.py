"""The figures of a run, and the page that they make."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandbox.chaos.figures import figures
from sandbox.chaos.fuzz.outcome import Fuzzed
from sandbox.chaos.report import report, write_report
from tests.chaos.histories import T0, WAY, Scene


def scene() -> Scene:
    made = Scene()
    made.scan("r-1", 1)
    made.scan("r-2", 2, at=10)
    made.job("r-3", at=20, n=3)
    made.moves("r-3", ("ACCEPTED", "FAILED"), 3, "mri-1", 20, cause="refused")
    made.made("r-2", 9, "mri-1", 10)
    made.event("r-2", "PROGRESS", 9, state="QUEUED", count=4)
    made.command("cmd-1", "CANCEL", 5, scan_request_id="r-1")
    made.command("cmd-2", "STOP", 5, "nothing was done", scan_request_id="r-1")
    made.strikes("worker-kill", "w1", 9, 10)
    lines: tuple[tuple[float, str, dict[str, Any]], ...] = (
        (0, "start", {}), (4, "ready", {}), (9.5, "kill", {}), (9.6, "exit", {"code": -9}),
        (10, "start", {}), (16, "ready", {}), (30, "termed", {"seconds": 2.5}),
        (30, "exit", {"code": 0}),
    )  # fmt: skip
    made.runner += [
        {"wall": T0 + at, "what": what, "worker": "w1", **more} for at, what, more in lines
    ]
    return made


def test_the_figures_count_what_happened() -> None:
    found = figures(scene().history(), [])
    assert found["jobs"] == 3
    assert found["ends"] == {"COMPLETED": 2, "FAILED": 1}
    assert found["causes of FAILED"] == {"refused": 1}
    assert found["spare records"] == 1
    assert found["commands"] == {"CANCEL": 1, "STOP": 1}
    assert found["commands taken"] == 1
    assert found["longest queue"] == 4
    assert (found["ever QUEUED"], found["ever HELD"], found["OVERDUE"]) == (0, 0, 0)
    assert found["faults"] == {"worker-kill": 1}
    assert found["worker exits"] == {"-9": 1, "0": 1}
    assert found["after a kill, first event"] == {"count": 1, "median s": 0.5, "worst s": 0.5}
    assert found["after a start, ready"] == {"count": 2, "median s": 5.0, "worst s": 6.0}
    assert found["SIGTERM to end"]["worst s"] == 2.5
    assert found["events"] == len(WAY) * 2 + 4 + 2 + 3
    assert found["repeated events"] == 0


def test_runs_stand_side_by_side_and_what_else_is_on_the_page_stays(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "reliability.md"
    for seed in (2, 1):
        run = {
            "seed": seed, "minutes": 20.0, "command": f"make chaos SEED={seed} MINUTES=20",
            "figures": figures(scene().history(), []),
        }  # fmt: skip
        (tmp_path / f"seed-{seed}.json").write_text(json.dumps(run))
    write_report(page, tmp_path)
    text = page.read_text()
    assert "|  | seed 1 | seed 2 |" in text
    assert "| jobs accepted | 3 | 3 |" in text
    assert "| commands, each answered once (carried out) | 2 (1) | 2 (1) |" in text
    assert "`make chaos SEED=2 MINUTES=20`" in text
    assert "- 1 times: refused" in text

    page.write_text(text + "\nMeasured by hand.\n")
    (tmp_path / "seed-2.json").unlink()
    write_report(page, tmp_path)
    assert "seed 2" not in page.read_text()
    assert page.read_text().endswith("Measured by hand.\n")
    assert page.read_text().count("# Reliability") == 1


def test_random_messages_are_told_with_their_ends() -> None:
    outcome = Fuzzed(
        count=3, seconds=41.7, ends={"dead letters": 2, "answers": 1}, causes={"invalid": 2}
    )
    history = replace(scene().history(), fuzzed=outcome)
    run = {"seed": 1, "minutes": 1.0, "command": "make chaos", "figures": figures(history, [])}
    text = report([run])
    assert "| random messages, accounted for | 3 of 3 |" in text
    assert "3 random messages, followed for 42 s, ended as answers 1, dead letters 2." in text
    assert "Causes of their dead letters: invalid 2." in text


def test_without_a_run_the_page_says_so() -> None:
    assert report([]) == "No run yet.\n"
