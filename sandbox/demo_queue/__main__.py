"""Run the demo of the queue: `python -m sandbox.demo_queue [--out …] [--away-seconds 30] [--keep]`.

Exit code 0 only if all came as told, and as promised: see proof.py.
"""

import argparse
import sys
import time
from functools import partial
from typing import Final

from rich.console import Console

from sandbox.demo.bus import Bus
from sandbox.demo.edge import add_folders, plain, run_demo
from sandbox.demo.folders import Folders
from sandbox.demo.parts import Parts
from sandbox.demo.stopping import Interruptible
from sandbox.demo_queue.person import ask, terminal
from sandbox.demo_queue.plan import DEVICE, FIRST, PLAN, Pace
from sandbox.demo_queue.proof import Facts, problems, summary
from sandbox.demo_queue.stage import Stage, StoryError
from sandbox.demo_queue.story import Story

SETTINGS: Final = {
    "SCANHUB_SCANS_PER_DEVICE": "1",
    # Shorter than by default, so that nobody waits long for what is back.
    "SCANHUB_RETRY_MOST_S": "2",
    "SCANHUB_DEVICE_RETRY_MOST_S": "2",
}


def main() -> int:
    """Run the demo and give its exit code."""
    return run_demo("demo-queue", _parser().parse_args(), _demo)


def _demo(
    given: argparse.Namespace, where: Folders, console: Console, signals: Interruptible
) -> int:
    began, say = time.monotonic(), plain(console)
    pace = Pace(
        scan_s=given.scan_seconds,
        first_scan_s=given.first_scan_seconds,
        off_s=given.off_seconds,
        away_s=given.away_seconds,
        answer_s=given.answer_seconds,
    )
    with Parts(where.work, where.logs, say, SETTINGS) as parts:
        parts.start([DEVICE], [PLAN[FIRST].sequence], pace.scan_s)
        look_on = f"SCANHUB_KAFKA={parts.kafka.bootstrap} faust -A faust_app watch"
        say(f"to look on, in another terminal: {look_on}")
        try:
            facts, events = signals.run(_play(parts, pace, console))
        except StoryError as error:
            say(f"demo-queue: not as promised: {error}; see {where.logs}")
            return 1
    wrong = problems(facts)
    for problem in wrong:
        say(f"not as promised: {problem}")
    say(f"the whole demo took {time.monotonic() - began:.0f} s; logs are in {where.logs}")
    say(summary(facts, wrong, events, where.logs))
    return 1 if wrong else 0


async def _play(parts: Parts, pace: Pace, console: Console) -> tuple[Facts, int]:
    """Play the story; gives what is known at its end, and how many events came."""
    async with Bus(parts.kafka.bootstrap) as bus:
        stage = Stage(bus, parts, console)
        asking = partial(ask, stage.say, terminal=terminal(), default=True, limit_s=pace.answer_s)
        story = Story(stage, pace, asking)
        await stage.play(story.play())
        facts = Facts(
            scans=stage.scans,
            starts=stage.starts(),
            outages=stage.outages(),
            sent_again=story.sent_again,
        )
    return facts, len(stage.events)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.demo_queue",
        description="Five jobs on one simulated scanner on a bad day, and a check of what happened.",
    )
    add_folders(parser, "out/demo-queue", "the logs")
    pace = Pace()
    seconds = (
        ("--scan-seconds", pace.scan_s, "how long a scan takes"),
        ("--first-scan-seconds", pace.first_scan_s, "the first one: meanwhile the queue forms"),
        ("--off-seconds", pace.off_s, "how long the scanner is switched off"),
        ("--away-seconds", pace.away_s, "how long the exam manager is away"),
        ("--answer-seconds", pace.answer_s, "how long a person has to answer"),
    )
    for name, default, meaning in seconds:
        parser.add_argument(
            name, type=float, default=default, metavar="S", help=f"{meaning} (default: {default:g})"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
