"""When `make bench-check` fails, and what the comparison makes of its rounds; made-up figures."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import check
from bench.check import compare, machine_key
from bench.compare_figures import faults, summarise

MACHINE = {"processor": "Some CPU (R) @ 2.00GHz", "cores": 2}


def run(ours: float, bare: float = 1000.0, *, machine: Any = None, **ratios: float) -> Any:
    found = {"ours/bare": ours / bare, **{name.replace("_", "/"): r for name, r in ratios.items()}}
    return {
        **dict.fromkeys(check._KEPT),
        "machine": machine or MACHINE,
        "summary": {"ratios": {name: {"median": ratio} for name, ratio in found.items()}},
        "good": True,
    }


def test_a_machine_is_named_by_its_processor_and_cores() -> None:
    assert machine_key(MACHINE) == "some-cpu-r-2-00ghz-2"


def test_without_a_stored_run_there_is_nothing_to_fail() -> None:
    verdict = compare(run(600), None)
    assert verdict.good
    assert "no stored run" in verdict.lines[0]


@pytest.mark.parametrize(("ours", "good"), [(700, True), (600, True), (515, True), (505, False)])
def test_a_drop_of_more_than_15_percent_fails(ours: float, good: bool) -> None:
    assert compare(run(ours), run(600)).good is good


def test_a_slower_machine_is_no_slower_program() -> None:
    assert compare(run(300, 500), run(600, 1000)).good


def test_other_ratios_are_told_and_decide_nothing() -> None:
    verdict = compare(run(600, ours_naive=5.0), run(600, ours_naive=20.0))
    assert verdict.good
    assert "ours/naive: 5, stored 20 (-75%)" in verdict.lines


def test_a_run_without_bare_is_no_good_run() -> None:
    last = run(600)
    del last["summary"]["ratios"]["ours/bare"]
    assert not compare(last, run(600)).good


def test_two_kinds_of_machines_are_not_compared() -> None:
    with pytest.raises(ValueError, match="two kinds"):
        compare(run(600), run(600, machine={**MACHINE, "cores": 64}))


def test_store_then_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last, results = tmp_path / "compare.json", tmp_path / "results"
    given = ["check", "--last", str(last), "--results", str(results)]

    def checked(*more: str) -> int:
        monkeypatch.setattr(sys, "argv", [*given, *more])
        return check.main()

    assert checked() == 1, "nothing was measured yet"
    last.write_text(json.dumps(run(600)))
    assert checked() == 0
    assert checked("--store") == 0
    last.write_text(json.dumps(run(400)))
    assert checked() == 1
    last.write_text(json.dumps({**run(900), "good": False}))
    assert checked("--store") == 1, "a run that lost jobs is no yardstick"


def one(jobs_per_second: float, **more: Any) -> dict[str, Any]:
    return {
        "jobs_per_second": jobs_per_second,
        "missing": 0,
        "spare_records": 0,
        "repeated": 0,
        "latency": {"p50": 9.0, "p99": 20.0, "per_second": 50.0, "missing": 0},
        **more,
    }


def test_ratios_are_of_one_round_and_medians_over_rounds() -> None:
    rounds = [
        {"ours": one(600), "bare": one(1000)},
        {"ours": one(300), "bare": one(400)},
        {"ours": one(700), "bare": one(1000)},
    ]
    summary = summarise(rounds)
    assert summary["ratios"]["ours/bare"] == {"median": 0.7, "least": 0.6, "most": 0.75}
    met = {target["what"]: target["met"] for target in summary["targets"]}
    assert met["rate: ours/bare"] is True
    assert met["rate: ours/naive"] is None, "not measured is not met"


def test_a_rate_of_which_jobs_are_missing_is_none() -> None:
    some = one(500, missing=3)
    rounds = [{"ours": one(600, refusing=some), "bare": some}, {"ours": some, "bare": one(1000)}]
    ratios = summarise(rounds)["ratios"]
    assert ratios["503/without"]["median"] == 0
    assert ratios["ours/bare"] == {"median": 0, "least": 0, "most": 0}, "the first is of no round"


def test_faults_are_counted_over_all_phases_of_ours() -> None:
    rounds = [
        {"ours": one(600, repeated=1, refusing={"missing": 2, "spare_records": 3})},
        {"ours": one(600, missing=4), "bare": one(1000, missing=50)},
    ]
    assert faults(rounds) == {"lost": 6, "tasks_twice": 1, "records_twice": 3}
