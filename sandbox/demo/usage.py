"""What a process takes of the machine, from /proc; None where there is none (macOS)."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory now and at most, in MB, and processor time so far, in seconds."""

    rss_mb: float
    most_mb: float
    cpu_s: float


def usage_of(pid: int) -> Usage | None:
    """Look at a process."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    kilobytes = {
        name: int(rest.split()[0])
        for name, _, rest in (line.partition(":") for line in status.splitlines())
        if name in ("VmRSS", "VmHWM")
    }
    if len(kilobytes) < 2:  # noqa: PLR2004 - a zombie has neither
        return None
    # After the name in brackets, which may hold anything: fields 14 and 15 of `man 5 proc`.
    fields = stat.rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return Usage(
        rss_mb=kilobytes["VmRSS"] * 1024 / 1e6,
        most_mb=kilobytes["VmHWM"] * 1024 / 1e6,
        cpu_s=ticks / os.sysconf("SC_CLK_TCK"),
    )
