"""The outer frame of every program here: signals, a folder, errors in one sentence, the JSON."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.machine import facts
from bench.stand import Stand
from sandbox.demo.stopping import Interrupted, Interruptible
from sandbox.kafka import KafkaFailedError, KafkaUnavailableError
from sandbox.processes import ProcessFailedError

Result = dict[str, Any]
_FAULTS: Final[tuple[type[Exception], ...]] = (
    KafkaUnavailableError, KafkaFailedError, ProcessFailedError, OSError,
)  # fmt: skip


def run(
    given: argparse.Namespace,
    measure: Callable[[Path, Interruptible], Result],
    show: Callable[[Result], None],
    *faults: type[Exception],
) -> int:
    """Measure in a folder of its own, write the figures to `given.out`, show them; gives the exit code.

    1 where the result says that it is not good, or something could not be run (`faults`: errors that
    say so, besides the usual ones). What was begun is ended in any case.
    """
    try:
        with (
            Interruptible() as signals,
            tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder,
        ):
            result = measure(Path(folder), signals)
    except Interrupted as interrupted:
        print("stopped: nothing is left running", file=sys.stderr)
        return interrupted.exit_code
    except (*_FAULTS, *faults) as error:
        print(f"bench: {error}", file=sys.stderr)  # a TimeoutError is an OSError
        return 1
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    show(result)
    return 0 if result.get("good", True) else 1


def on_stand(
    given: argparse.Namespace,
    name: str,
    latency_ms: float,
    parts: Callable[[Stand, Path, Interruptible], Result],
    show: Callable[[Result, Path], None],
) -> int:
    """Do the same with a broker and the stub of all others; first in the result is on what it ran."""

    def measure(folder: Path, signals: Interruptible) -> Result:
        with Stand(folder, given.out.parent / "logs", latency_ms) as stand:
            head = {
                "command": f"python -m bench.{name} {' '.join(sys.argv[1:])}".rstrip(),
                "machine": facts(),
                "latency_ms": latency_ms,
            }
            return head | parts(stand, folder, signals)

    return run(given, measure, lambda result: show(result, given.out))
