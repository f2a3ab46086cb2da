"""The edge of a demo: folders and signals around it; whatever ends it becomes a sentence and a code."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError
from rich.console import Console

from sandbox.demo.folders import FolderError, Folders, folders
from sandbox.demo.parts import Say
from sandbox.demo.stopping import Interrupted, Interruptible
from sandbox.kafka import KafkaFailedError, KafkaUnavailableError
from sandbox.processes import ProcessFailedError

_PLAIN_WIDTH: Final = 120  # without a terminal there is no width to fit

Demo = Callable[[Namespace, Folders, Console, Interruptible], int]


def run_demo(name: str, given: Namespace, demo: Demo) -> int:
    """Run a demo in its folders (`given.out`, `given.keep`), and give its exit code."""
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    try:
        with Interruptible() as signals, folders(given.out, keep=given.keep) as where:
            return demo(given, where, console, signals)
    except Interrupted as interrupted:
        print("stopped: nothing is left running", file=sys.stderr)
        return interrupted.exit_code
    except (KafkaUnavailableError, KafkaFailedError, ProcessFailedError, FolderError) as error:
        print(f"{name}: {error}", file=sys.stderr)
    except OSError as error:
        what = error.filename or type(error).__name__
        print(f"{name}: {what}: {error.strerror}", file=sys.stderr)
    except KafkaError as error:
        print(f"{name}: Kafka: {type(error).__name__}", file=sys.stderr)
    return 1


def plain(console: Console) -> Say:
    """Give a way to print lines as they are: nothing in them is markup, and none is cut."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    return say


def add_folders(parser: ArgumentParser, out: str, kept: str) -> None:
    """Add the options that `run_demo` needs."""
    parser.add_argument("--out", type=Path, default=Path(out), help=f"for {kept}")
    parser.add_argument(
        "--keep", action="store_true", help="keep broker data, tables and files in OUT/work"
    )
