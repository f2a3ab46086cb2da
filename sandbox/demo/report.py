"""What is printed at the end: who took how long, which image is where, and one summary line."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from models.base import canonical
from sandbox.demo.image import Checked
from sandbox.demo.scan import STAGES, Scan
from sandbox.demo.usage import Usage

_NONE = "-"
_SHORT = 12  # digits of a sha256 that tell files apart


def print_tables(console: Console, scans: Sequence[Scan], images: Mapping[str, Checked]) -> None:
    """Print both tables: the scans, and their images."""
    console.print(_scans(scans))
    console.print(_images(scans, images))


def _scans(scans: Sequence[Scan]) -> Table:
    table = Table(title="Scans: seconds from each state to the next", box=box.SIMPLE_HEAD)
    for name in ("record", "job", "device", "state"):
        table.add_column(name)
    for before, after in pairwise(STAGES):
        table.add_column(f"{before.lower()}\n→ {after.lower()}", justify="right")
    for scan in scans:
        plan = scan.planned
        seconds = (_NONE if s is None else f"{s:.2f}" for s in scan.stage_seconds())
        state = str(scan.state or "no news")
        table.add_row(_record(scan), str(plan.job_id), plan.device_id, state, *seconds)
    return table


def _images(scans: Sequence[Scan], images: Mapping[str, Checked]) -> Table:
    table = Table(title="Images: fetched through Kafka and checked", box=box.SIMPLE_HEAD)
    table.add_column("record")
    for name in ("files", "bytes", "match"):
        table.add_column(name, justify="right")
    table.add_column("sha256")
    table.add_column("SOP Instance UID", overflow="fold")
    for scan in scans:
        one = images.get(scan.planned.request_id)
        if one is None:
            table.add_row(_record(scan), str(len(scan.files)), _NONE, _NONE, _NONE, _NONE)
            continue
        file = one.fetched.file
        table.add_row(
            _record(scan),
            str(len(scan.files)),
            str(file.size),
            f"{one.correlation:.4f}",
            file.sha256[:_SHORT],
            one.sop_instance_uid,
        )
    return table


def memory_line(usage: Usage | None) -> str:
    """Say what the processor took."""
    if usage is None:
        return "processor: its memory can't be seen on this system"
    return (
        f"processor: {usage.rss_mb:.0f} MB of memory now, {usage.most_mb:.0f} MB at most,"
        f" {usage.cpu_s:.1f} s of processor time since its start"
    )


def summary(
    scans: Sequence[Scan],
    images: Mapping[str, Checked],
    picture: Path,
    logs: Path,
) -> str:
    """Say in one line how it went."""
    completed = sum(scan.completed for scan in scans)
    head = f"{completed} of {len(scans)} scans completed, "
    if len(images) < len(scans):
        told = f"{len(images)} images match their phantoms" if images else "no image was checked"
        return f"{head}{told}: not good, see {logs}"
    worst = min(one.correlation for one in images.values())
    return f"{head}all images match their phantoms (worst correlation {worst:.4f}) — {picture}"


def _record(scan: Scan) -> str:
    return _NONE if scan.record_id is None else canonical(scan.record_id)
