"""How the scans are shown while they run: a bar for each at a terminal, else a line for each event."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from models.events import EventKind, ScanEvent
from sandbox.demo.scan import Scan

_WHOLE = 100


class Show(Protocol):
    """Where news of a scan goes."""

    def event(self, scan: Scan, event: ScanEvent) -> None:
        """Tell an event."""

    def say(self, scan: Scan, text: str) -> None:
        """Tell what the demo itself did with a scan."""


@contextmanager
def showing(console: Console, scans: Sequence[Scan]) -> Iterator[Show]:
    """Give what fits where the output goes."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.fields[device]:8} job {task.fields[job]}  {task.fields[record]:9}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]:16}"),
    )
    with Progress(*columns, console=console, expand=True) as progress:
        yield _Bars(progress, scans)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console

    def event(self, scan: Scan, event: ScanEvent) -> None:
        if event.event is EventKind.STATE_CHANGED:
            text = str(event.state)
        elif event.event is EventKind.PROGRESS:
            text = f"{event.percent} %"
        else:
            text = str(event.event)
        if event.files:
            text += f": {sum(file.size for file in event.files)} bytes"
        if event.cause:
            text += f": {event.cause}"
        self.say(scan, text)

    def say(self, scan: Scan, text: str) -> None:
        plan, record = scan.planned, _record(scan)
        now = f"{datetime.now(UTC):%H:%M:%S}"
        line = f"{now}  {plan.device_id:6}  job {plan.job_id}  {record:9}  {text}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Bars:
    def __init__(self, progress: Progress, scans: Sequence[Scan]) -> None:
        self._progress = progress
        self._tasks = {
            scan.planned.request_id: progress.add_task(
                "",
                total=_WHOLE,
                device=scan.planned.device_id,
                job=scan.planned.job_id,
                record="",
                state="waits its turn",
            )
            for scan in scans
        }

    def event(self, scan: Scan, event: ScanEvent) -> None:
        if event.event is EventKind.STATE_CHANGED:
            self.say(scan, str(event.state))
        else:
            self._update(scan)

    def say(self, scan: Scan, text: str) -> None:
        self._update(scan, text)

    def _update(self, scan: Scan, state: str | None = None) -> None:
        done = _WHOLE if scan.completed else scan.percent
        fields = {"record": _record(scan)} | ({} if state is None else {"state": state})
        # Any: mypy takes the values for those of the method's other arguments.
        changes: dict[str, Any] = {"completed": done, **fields}
        self._progress.update(self._tasks[scan.planned.request_id], **changes)


def _record(scan: Scan) -> str:
    return "" if scan.record_id is None else f"record {scan.record_id}"
