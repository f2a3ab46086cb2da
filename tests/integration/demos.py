"""Demos as a newcomer runs them: programs of their own, looked at from outside."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 200
"""Several times what a demo needs where nothing else runs."""


@contextmanager
def running(module: str, out: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a demo without a terminal; it and all that it started have `out`'s mark."""
    temporary = out.parent / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", module, "--out", str(out), *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    guard = threading.Timer(LIMIT_S, process.kill)  # else a demo that hangs would hang the test too
    guard.start()
    try:
        yield process
    finally:
        guard.cancel()
        process.kill()  # what it started is tethered to it
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def processes_of(mark: Path) -> list[str]:
    """Give the command lines of all processes that were told of a folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if str(mark).encode() in told:
            found.append(f"{folder.name}: {(folder / 'cmdline').read_bytes()!r}")
    return found
