"""Run the demo: `python -m sandbox.demo [--out out/demo] [--devices 2] [--jobs 6] [--keep]`.

Exit code 0 only if every image came through Kafka and matches what was scanned.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError
from rich.console import Console

from sandbox.demo.bus import Bus
from sandbox.demo.folders import FolderError, Folders, folders
from sandbox.demo.image import Checked, WrongImageError, check_image
from sandbox.demo.parts import Parts
from sandbox.demo.picture import draw
from sandbox.demo.plan import make_plan
from sandbox.demo.report import memory_line, print_tables, summary
from sandbox.demo.run import Run
from sandbox.demo.scan import Scan
from sandbox.demo.show import showing
from sandbox.demo.stopping import Interrupted, Interruptible
from sandbox.demo.usage import usage_of
from sandbox.kafka import KafkaFailedError, KafkaUnavailableError
from sandbox.processes import ProcessFailedError

_PLAIN_WIDTH: Final = 120  # without a terminal there is no width to fit
_MOST: Final = 24  # devices or jobs: all run on this machine
_LIMIT_S: Final = 60.0


def main() -> int:
    """Run the demo and give its exit code."""
    given = _parser().parse_args()
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    try:
        with Interruptible() as signals, folders(given.out, keep=given.keep) as where:
            return _demo(given, where, console, signals)
    except Interrupted as interrupted:
        print("stopped: nothing is left running", file=sys.stderr)
        return interrupted.exit_code
    except (KafkaUnavailableError, KafkaFailedError, ProcessFailedError, FolderError) as error:
        print(f"demo: {error}", file=sys.stderr)
    except OSError as error:
        print(f"demo: {error.filename or type(error).__name__}: {error.strerror}", file=sys.stderr)
    except KafkaError as error:
        print(f"demo: Kafka: {type(error).__name__}", file=sys.stderr)
    return 1


def _demo(
    given: argparse.Namespace, where: Folders, console: Console, signals: Interruptible
) -> int:
    began = time.monotonic()
    plan = make_plan(given.devices, given.jobs)
    scans = [Scan(planned) for planned in plan]

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

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
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), help="for the picture and the logs"
    )
    parser.add_argument("--devices", type=_count, default=2, help="simulated scanners")
    parser.add_argument("--jobs", type=_count, default=6, help="scans in all")
    parser.add_argument("--scan-seconds", type=float, default=2.0, help="how long each scan takes")
    parser.add_argument(
        "--keep", action="store_true", help="keep broker data, tables and files in OUT/work"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
