"""Where the story plays: events as they come, the processor's real commands, the scanner's own log."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from models import wire
from models.events import EventKind, ScanEvent, ScanState
from sandbox.demo.bus import Bus
from sandbox.demo.edge import plain
from sandbox.demo.parts import Parts
from sandbox.demo.scan import Scan
from sandbox.demo_queue.plan import DEVICE, PLAN, job_of
from sandbox.demo_queue.proof import Start, read_starts
from sandbox.demo_queue.telling import tell
from sandbox.processes import Process

SOON_S: Final = 60.0
"""How long anything may take that nothing is in the way of."""
_COMMAND_S: Final = 60.0
_MARGIN: Final = "  | "

Match = Callable[[ScanEvent], bool]


class StoryError(Exception):
    """It did not come as told; the text is a sentence."""


class Stage:
    """What the story sees and does."""

    def __init__(self, bus: Bus, parts: Parts, console: Console) -> None:
        self.events: list[ScanEvent] = []
        self.scans = {name: Scan(planned) for name, planned in PLAN.items()}
        self.say = plain(console)
        self._bus = bus
        self._parts = parts
        self._console = console
        self._commands = 0
        self._seen: set[str] = set()
        self._news = asyncio.Event()

    async def play(self, story: Coroutine[Any, Any, None]) -> None:
        """Play a story while events are read; raises what it raises, or what a part ended with."""
        playing = asyncio.create_task(story)
        try:
            while not playing.done():
                for topic, _, _, value in await self._bus.read():
                    if topic == wire.SCAN_EVENTS:
                        self._take(ScanEvent.from_bytes(value))
                self._news.set()
                self._news = asyncio.Event()
                self._parts.check()
        finally:
            playing.cancel()
            await asyncio.wait([playing])
        playing.result()

    def _take(self, event: ScanEvent) -> None:
        if event.event_id in self._seen:
            return
        self._seen.add(event.event_id)
        scan = self.scans.get(event.request_id or "")
        if scan is not None:
            scan.take(event)
        self.events.append(event)
        self.say(tell(event, event.request_id or event.device_id or ""))

    # What the story sees.

    async def until(
        self, what: str, match: Match, *, since: int = 0, limit_s: float = SOON_S
    ) -> ScanEvent:
        """Wait for an event, among those that came before too, but for the first `since`."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    news = self._news
                    for event in self.events[since:]:
                        if match(event):
                            return event
                    await news.wait()
        except TimeoutError:
            raise StoryError(f"{what}: not within {limit_s:g} s") from None

    async def reaches(
        self, name: str, state: ScanState, *, since: int = 0, limit_s: float = SOON_S
    ) -> ScanEvent:
        """Wait until a job is announced in a state."""
        return await self.until(
            f"{name} is {state}", is_state(name, state), since=since, limit_s=limit_s
        )

    async def at_place(self, name: str, place: int) -> None:
        """Wait until it is announced that a job is at a place of the queue."""
        await self.until(
            f"{name} is at place {place} of the queue",
            lambda event: (
                event.request_id == name
                and event.state is ScanState.QUEUED
                and event.count == place
            ),
        )

    def starts(self) -> list[Start]:
        """Give the STARTs that the scanner took."""
        return read_starts(self._parts.starts_log(DEVICE))

    def outages(self) -> list[ScanEvent]:
        """Give what was announced of managers."""
        return [event for event in self.events if event.manager is not None]

    # What the story does.

    def tell(self, text: str) -> None:
        """Say what comes next."""
        self._console.print()
        self._console.print(text, style="bold", markup=False, highlight=False)

    async def submit(self, name: str) -> None:
        """Send a job."""
        await self._bus.send_job(job_of(name), name)

    async def type(self, *arguments: str) -> float:
        """Run one of the processor's commands and show what it writes; gives its seconds.

        Raises StoryError if it does not end well.
        """
        self._commands += 1
        name, began = f"command-{self._commands}-{arguments[0]}", time.monotonic()
        at_terminal = self._console.is_terminal
        columns = self._console.width - len(_MARGIN) if at_terminal else None
        process = self._parts.command(name, *arguments, columns=columns)
        await self._ended(process)
        typed = f"faust -A faust_app {' '.join(arguments)}"
        self.say(f"  $ {typed}")
        for line in process.log_file.read_text(errors="replace").splitlines():
            self._console.print(Text(_MARGIN) + Text.from_ansi(line), soft_wrap=True)
        if process.exit_code != 0:
            raise StoryError(f"`{typed}` ended with {process.exit_code}")
        return time.monotonic() - began

    async def _ended(self, process: Process) -> None:
        try:
            async with asyncio.timeout(_COMMAND_S):
                while process.running:
                    await self._news.wait()  # also set where there is none, a few times a second
        except TimeoutError:
            raise StoryError(f"{process.name} did not end within {_COMMAND_S:g} s") from None

    async def knobs(self, service: str, **knobs: Any) -> None:
        """Switch a manager's or the scanner's faults; without any it is well."""
        await asyncio.to_thread(self._parts.knobs, service, **knobs)

    def cut_line(self) -> None:
        """Cut the scanner's line: nothing gets in or out any more, and its clock stands."""
        self._parts.scanners[DEVICE].freeze()

    def mend_line(self) -> None:
        """Mend the scanner's line."""
        self._parts.scanners[DEVICE].thaw()


def is_state(name: str, state: ScanState) -> Match:
    """Match a job's change to a state."""
    return lambda event: (
        event.event is EventKind.STATE_CHANGED and (event.request_id, event.state) == (name, state)
    )
