"""Run the demo: `python -m sandbox.demo [--out out/demo] [--devices 2] [--jobs 6] [--keep]`.

Exit code 0 only if every image came through Kafka and matches what was scanned.
"""

import argparse
import sys
import time
from typing import Final

from rich.console import Console

from sandbox.demo.bus import Bus
from sandbox.demo.edge import add_folders, plain, run_demo
from sandbox.demo.folders import Folders
from sandbox.demo.image import Checked, WrongImageError, check_image
from sandbox.demo.parts import Parts
from sandbox.demo.picture import draw
from sandbox.demo.plan import make_plan
from sandbox.demo.report import memory_line, print_tables, summary
from sandbox.demo.run import Run
from sandbox.demo.scan import Scan
from sandbox.demo.show import showing
from sandbox.demo.stopping import Interruptible
from sandbox.demo.usage import usage_of

_MOST: Final = 24  # devices or jobs: all run on this machine
_LIMIT_S: Final = 60.0


def main() -> int:
    """Run the demo and give its exit code."""
    return run_demo("demo", _parser().parse_args(), _demo)


def _demo(
    given: argparse.Namespace, where: Folders, console: Console, signals: Interruptible
) -> int:
    began = time.monotonic()
    plan = make_plan(given.devices, given.jobs)
    scans = [Scan(planned) for planned in plan]
    say = plain(console)
    with Parts(where.work, where.logs, say) as parts:
        parts.start(
            sorted({planned.device_id for planned in plan}),
            [planned.sequence for planned in plan],
            given.scan_seconds,
        )
        run = signals.run(_run(parts, scans, console))
        usage = usage_of(parts.worker.pid)
    images, wrong = _checked(scans, run)
    print_tables(console, scans, images)
    if images:
        draw(list(images.values()), where.picture)
    for name, problem in (run.problems | wrong).items():
        say(f"{name}: {problem}")
    say(f"{memory_line(usage)}; the whole demo took {time.monotonic() - began:.0f} s")
    say(summary(scans, images, where.picture, where.logs))
    return 0 if len(images) == len(scans) else 1


async def _run(parts: Parts, scans: list[Scan], console: Console) -> Run:
    async with Bus(parts.kafka.bootstrap) as bus:
        with showing(console, scans) as show:
            run = Run(bus, scans, show)
            await run.to_the_end(_LIMIT_S, parts.check)
        return run


def _checked(scans: list[Scan], run: Run) -> tuple[dict[str, Checked], dict[str, str]]:
    """Compare each image with what was scanned; gives those that fit, and what is wrong."""
    records = [scan.record_id for scan in scans if scan.record_id is not None]
    images: dict[str, Checked] = {}
    wrong: dict[str, str] = {}
    for scan in scans:
        name = scan.planned.request_id
        if name not in run.fetched or scan.record_id is None:
            continue
        try:
            images[name] = check_image(scan.planned, scan.record_id, run.fetched[name], records)
        except WrongImageError as error:
            wrong[name] = str(error)
    return images, wrong


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"1 to {_MOST}")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.demo",
        description="Scan six phantoms on two simulated scanners, and check every image.",
    )
    add_folders(parser, "out/demo", "the picture and the logs")
    parser.add_argument("--devices", type=_count, default=2, help="simulated scanners")
    parser.add_argument("--jobs", type=_count, default=6, help="scans in all")
    parser.add_argument("--scan-seconds", type=float, default=2.0, help="how long each scan takes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
