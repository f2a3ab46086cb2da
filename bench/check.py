"""Has it got slower? `python -m bench.check` compares the last `make bench` with the stored one.

Only ratios are compared: rates move with whatever else the machine does, ours/bare of one round
does not. Runs are stored by kind of machine (processor and cores, no name): `--store` keeps the
last one in bench/results/. Exit code 1 when ours/bare fell by more than 15 %, or when there is no
last run; without a stored run of this kind of machine there is nothing to compare, and 0.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.machine import facts

LAST: Final = Path("out/bench/compare.json")
STORED: Final = Path(__file__).parent / "results"
MOST_DROP: Final = 0.15
DECIDES: Final = "ours/bare"
_KEPT: Final = (
    "command", "machine", "load_before_rounds", "stub_per_second", "latency_ms", "share_503",
    "partitions", "devices", "sequences", "rounds", "summary", "faults", "good",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it is good, and sentences that say why."""

    good: bool
    lines: tuple[str, ...]


def machine_key(machine: Mapping[str, Any]) -> str:
    """Give the name of a kind of machine: its processor and cores, as a file's name."""
    processor = re.sub(r"[^a-z0-9]+", "-", str(machine["processor"]).lower()).strip("-")
    return f"{processor}-{machine['cores']}"


def compare(last: Mapping[str, Any], stored: Mapping[str, Any] | None) -> Verdict:
    """Decide by the medians of the ratios; only ours/bare can fail, the others are told."""
    key = machine_key(last["machine"])
    if stored is None:
        return Verdict(good=True, lines=(f"no stored run of this kind of machine ({key})",))
    if machine_key(stored["machine"]) != key:
        raise ValueError("runs of two kinds of machines cannot be compared")
    now, before = last["summary"]["ratios"], stored["summary"]["ratios"]
    if DECIDES not in before:
        return Verdict(good=True, lines=(f"the stored run has no {DECIDES}: nothing to compare",))
    if DECIDES not in now:
        return Verdict(good=False, lines=(f"the last run has no {DECIDES}: run all rivals",))
    lines = [
        f"{name}: {now[name]['median']:g}, stored {found['median']:g}"
        f" ({_change(now[name]['median'], found['median']):+.0%})"
        for name, found in before.items()
        if name in now
    ]
    fell = -_change(now[DECIDES]["median"], before[DECIDES]["median"])
    good = fell <= MOST_DROP
    if not good:
        lines.append(f"{DECIDES} fell by {fell:.0%}, more than {MOST_DROP:.0%}")
    return Verdict(good=good, lines=tuple(lines))


def _change(now: float, before: float) -> float:
    return now / before - 1


def main() -> int:
    """Compare, or store; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.check", description=__doc__)
    parser.add_argument("--last", type=Path, default=LAST)
    parser.add_argument("--results", type=Path, default=STORED)
    parser.add_argument("--store", action="store_true", help="keep the last run as the stored one")
    given = parser.parse_args()
    try:
        last = json.loads(given.last.read_text())
    except FileNotFoundError:
        print(f"bench: {given.last} is not there: run `make bench` first", file=sys.stderr)
        return 1
    target = given.results / f"{machine_key(last['machine'])}.json"
    if given.store:
        return _store(last, target)
    if machine_key(last["machine"]) != machine_key(facts()):
        print("the last run was made on another kind of machine than this")
    verdict = compare(last, json.loads(target.read_text()) if target.exists() else None)
    for line in verdict.lines:
        print(line)
    return 0 if verdict.good else 1


def _store(last: Mapping[str, Any], target: Path) -> int:
    if not last["good"] or DECIDES not in last["summary"]["ratios"]:
        print("bench: a run that is not good, or not whole, is not stored", file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({name: last[name] for name in _KEPT}, indent=2) + "\n")
    print(f"stored as {target.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
