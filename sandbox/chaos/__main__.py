"""Faults against the real processor: `python -m sandbox.chaos --seed 1 --minutes 20`.

Prints what it does, then each violation with the message's whole history, and last one line of
summary. Exit code: 0 nothing was violated, 1 something was, 2 the run could not be made.
"""

import argparse
import asyncio
import json
import logging
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sandbox.chaos.checker import SIDE_BY_SIDE, check, tell
from sandbox.chaos.disk import Disk
from sandbox.chaos.figures import figures
from sandbox.chaos.flows import phase
from sandbox.chaos.history import History
from sandbox.chaos.plan import Fault, Kind, from_json
from sandbox.chaos.report import write_report
from sandbox.chaos.run import JOBS_A_MINUTE, WORKERS, Options, run

_APP: Final = "faust_app"
LONG_FUZZ: Final = 20_000
LONG_WORKFLOWS: Final = 500
LONG_MINUTES: Final = 20
CROWDED: Final = 20
"""Devices that have workflows side by side."""
ERAS: Final = ("integer", "uuid")
"""Of the exam manager, by the seed: even ones have no workflows under faults, odd ones have."""
_SHOWN: Final = 5
"""So many violations of each rule are printed; all of them stand in violations.txt."""


def main() -> None:
    """Run, judge, report."""
    given = _parser().parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that the broker is away is the plan
    folder = (given.out / f"seed-{given.seed}").absolute()
    for town in (folder, folder / "workflows"):
        Disk(town / "lake").unmount()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {text}", flush=True)

    seconds = given.minutes * 60
    workflows = _share(given.minutes, LONG_WORKFLOWS, 50, given.workflows)
    options = Options(
        seed=given.seed,
        seconds=seconds,
        jobs=given.jobs or max(20, round(JOBS_A_MINUTE * given.minutes)),
        folder=folder,
        app=given.app,
        kinds=given.kinds,
        plan=given.plan,
        devices=[f"mri-{n + 1}" for n in range(given.devices)],
        workers=WORKERS[: given.workers],
        quiet_s=given.quiet,
        settle_s=given.settle,
        restart=given.restart,
        era=given.era or ERAS[given.seed % 2],
        fuzz=_share(given.minutes, LONG_FUZZ, 1_500, given.fuzz),
    )
    try:
        history = asyncio.run(run(options, say))
        crowd = asyncio.run(_crowd(given, folder, say)) if workflows else None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no verdict on the processor
        traceback.print_exception(error)
        print("chaos: the run could not be made", file=sys.stderr)
        sys.exit(2)
    violations = check(history)
    told = [tell(history, violation) for violation in violations]
    if crowd is not None:
        more = check(crowd, SIDE_BY_SIDE)
        told += [tell(crowd, violation) for violation in more]
        violations += more
    (folder / "violations.txt").write_text("\n\n".join(told))
    shown: Counter[str] = Counter()
    for violation, text in zip(violations, told, strict=True):
        shown[violation.rule] += 1
        if shown[violation.rule] <= _SHOWN:
            print(f"\n{text}")
    result = {
        "seed": given.seed,
        "minutes": given.minutes,
        "command": f"make chaos SEED={given.seed} MINUTES={given.minutes:g}",
        "figures": figures(history, violations, crowd),
    }
    if given.app == _APP and given.plan is None:  # others are trials, and no page tells of them
        page = json.dumps(result, indent=1) + "\n"
        given.out.joinpath(f"seed-{given.seed}.json").write_text(page)
    if given.report is not None:
        write_report(given.report, given.out)
    print(_summary(given.seed, result["figures"], len(violations), folder), flush=True)
    sys.exit(1 if violations else 0)


async def _crowd(given: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> History:
    options = phase.Options(
        seed=given.seed,
        folder=folder / "workflows",
        count=_share(given.minutes, LONG_WORKFLOWS, 50, given.workflows),
        devices=CROWDED,
        app=given.app,
    )
    return await phase.side_by_side(options, say)


def _share(minutes: float, long: int, least: int, given: int | None) -> int:
    """Give how many there are of what follows a run: all after a long one, fewer after a trial."""
    if given is not None:
        return given
    return min(long, max(least, round(long * minutes / LONG_MINUTES)))


def _summary(seed: int, found: dict[str, object], violations: int, folder: Path) -> str:
    faults, ends, fuzz = found["faults"], found["ends"], found["fuzz"]
    assert isinstance(faults, dict)  # noqa: S101 - for the type
    assert isinstance(ends, dict)  # noqa: S101
    assert isinstance(fuzz, dict)  # noqa: S101
    told = ", ".join(f"{count} {state}" for state, count in ends.items())
    verdict = "nothing violated"
    if violations:
        verdict = f"{violations} violations, see {folder.name}/violations.txt"
    return (
        f"chaos seed {seed}: {found['jobs']} jobs ({told}), {sum(faults.values())} faults,"
        f" {fuzz['messages']} random messages: {verdict}"
    )


def _kinds(text: str) -> tuple[Kind, ...]:
    return tuple(Kind(name) for name in text.split(",") if name)


def _plan(text: str) -> tuple[Fault, ...]:
    return from_json(Path(text).read_text())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="repeats a run's load and faults")
    parser.add_argument(
        "--minutes", type=float, default=20, help="of load and faults; rest follows"
    )
    parser.add_argument("--jobs", type=int, help="scan jobs that are sent in this time")
    parser.add_argument("--report", type=Path, help="write all runs' figures into this page")
    parser.add_argument("--out", type=Path, default=Path("out/chaos"), help="logs and figures")
    parser.add_argument("--app", default=_APP, help="the worker's app (for broken ones)")
    parser.add_argument("--plan", type=_plan, help="these faults (a plan.json), not the seed's")
    parser.add_argument(
        "--kinds",
        type=_kinds,
        default=tuple(Kind),
        help="only these kinds of faults, separated by commas",
    )
    parser.add_argument(
        "--fuzz", type=int, help="random messages that follow (0: none; the minutes say how many)"
    )
    parser.add_argument(
        "--workflows", type=int, help="that follow side by side (0: none; the minutes say how many)"
    )
    parser.add_argument(
        "--era", choices=ERAS, help="of the exam manager; by default uuid for odd seeds"
    )
    parser.add_argument("--devices", type=int, choices=range(1, 9), default=4)
    parser.add_argument("--workers", type=int, choices=(1, 2), default=2)
    parser.add_argument("--quiet", type=float, default=30, help="seconds without a change: the end")
    parser.add_argument("--settle", type=float, default=240, help="seconds after which it ends so")
    parser.add_argument(
        "--no-restart", dest="restart", action="store_false", help="do not ask for the tables"
    )
    return parser


if __name__ == "__main__":
    main()
