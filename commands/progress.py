"""How followed jobs are shown: a bar for each at a terminal, else a line for each event."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from commands.following import Followed
from commands.show import at_terminal
from models.events import ScanState


class Display(Protocol):
    """Where events are told."""

    def say(self, job: Followed, text: str | None) -> None:
        """Tell what happened to a job; nothing if there is nothing to tell."""

    def update(self) -> None:
        """Show the states as they are now."""


@contextmanager
def display(jobs: Sequence[Followed]) -> Iterator[Display]:
    """Give what fits where the output goes."""
    if not at_terminal():
        yield _Lines(jobs)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as progress:
        yield _Bars(jobs, progress)


def line(job: Followed, text: str, *, several: bool) -> str:
    """Write a line: the time here, which job if there are several, and what happened."""
    which = f"{job.request_id}  " if several else ""
    return f"{datetime.now(UTC):%H:%M:%S}  {which}{text}"


class _Lines:
    def __init__(self, jobs: Sequence[Followed]) -> None:
        self._several = len(jobs) > 1

    def say(self, job: Followed, text: str | None) -> None:
        if text is not None:
            print(line(job, text, several=self._several), flush=True)

    def update(self) -> None:
        """Lines tell all there is."""


class _Bars:
    def __init__(self, jobs: Sequence[Followed], progress: Progress) -> None:
        self._progress = progress
        self._several = len(jobs) > 1
        self._tasks = [(job, progress.add_task("sent", total=100)) for job in jobs]

    def say(self, job: Followed, text: str | None) -> None:
        if text is not None:
            told = line(job, text, several=self._several)
            self._progress.console.print(told, markup=False, highlight=False)

    def update(self) -> None:
        for job, task in self._tasks:
            which = f"{job.request_id[:8]} " if self._several else ""
            done = 100 if job.state is ScanState.COMPLETED else job.percent
            state = str(job.state or "sent")
            self._progress.update(task, description=f"{which}{state}", completed=done)
            if job.code is not None:
                self._progress.stop_task(task)
