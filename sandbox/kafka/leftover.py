"""A broker that outlived its owner: found by the pid in its folder, ended by the next start."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from sandbox.processes import POLL_SECONDS

_END_SECONDS: Final = 10


def end_leftover(pid_file: Path, properties: Path) -> bool:
    """End the broker that `pid_file` names, if it is ours; say whether there was one.

    Numbers are used again, so the process must carry this folder's `properties` in its command
    line. Without /proc (macOS) that can't be seen, and nothing is ended.
    """
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return False
    found = _runs(pid, properties)
    deadline = time.monotonic() + _END_SECONDS
    while _runs(pid, properties) and time.monotonic() < deadline:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    pid_file.unlink(missing_ok=True)
    return found


def _runs(pid: int, properties: Path) -> bool:
    """Whether the process runs with this folder's properties; a zombie has no command line."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return str(properties).encode() in command.split(b"\0")
