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

    Without /proc (macOS) that can't be seen, and nothing is ended.
    """
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return False
    found = is_broker(pid, properties)
    deadline = time.monotonic() + _END_SECONDS
    while is_broker(pid, properties) and time.monotonic() < deadline:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    pid_file.unlink(missing_ok=True)
    return found


def is_broker(pid: int, properties: Path) -> bool:
    """Whether `pid` is a broker that was started with this file.

    Process numbers are used again: only the command line tells. A zombie has none.
    """
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return str(properties).encode() in command.split(b"\0")
