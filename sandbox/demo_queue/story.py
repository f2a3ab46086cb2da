"""The story: a scanner's queue on a bad day. Each step says what happens, and waits until it did."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from models.base import canonical
from models.events import EventKind, ScanEvent, ScanState
from sandbox.demo_queue.person import Answer
from sandbox.demo_queue.plan import DEVICE, FIRST, FOURTH, SECOND, THIRD, URGENT, Pace
from sandbox.demo_queue.stage import SOON_S, Stage, StoryError

EXAM: Final = "exam"
COMMANDS: Final = 4
"""Twice as many as are typed while the first scan must run."""
S = ScanState

Ask = Callable[[str], Awaitable[Answer]]


class Story:
    """Five jobs, one scanner."""

    def __init__(self, stage: Stage, pace: Pace, ask: Ask) -> None:
        self.sent_again: frozenset[str] = frozenset()
        self._stage = stage
        self._pace = pace
        self._ask = ask
        self._command_s = 0.0
        self._first_scan_s = pace.first_scan_s

    async def play(self) -> None:
        """Tell it to its end. Raises StoryError where it does not come as told."""
        await self._idle()
        await self._four_jobs()
        await self._one_urgent()
        await self._one_cancelled()
        await self._switched_off()
        await self._manager_away()
        await self._line_cut()
        await self._all_others()

    async def _idle(self) -> None:
        stage = self._stage
        stage.tell("0. A scanner, and nothing to do.")
        self._command_s = await stage.type("queue", DEVICE)
        # Until the scanner is switched off the first scan must run: slow machines need longer.
        self._first_scan_s = max(self._first_scan_s, COMMANDS * self._command_s)

    async def _four_jobs(self) -> None:
        stage = self._stage
        stage.tell(
            "1. Four jobs are submitted for one scanner, which does one scan at a time: the first is"
            " started, the others wait in its queue."
        )
        await stage.knobs(DEVICE, scan_seconds=self._first_scan_s)
        for name in (FIRST, SECOND, THIRD, FOURTH):
            await stage.submit(name)
        for place, name in enumerate((SECOND, THIRD, FOURTH), start=1):
            await stage.at_place(name, place)
        await stage.reaches(FIRST, S.RUNNING)
        await stage.knobs(DEVICE)
        await stage.type("queue", DEVICE)

    async def _one_urgent(self) -> None:
        stage = self._stage
        stage.tell(
            "2. A fifth job comes, and it is urgent: it goes first among those that wait. The scan"
            " that runs is not disturbed."
        )
        await stage.submit(URGENT)
        for place, name in enumerate((URGENT, SECOND, THIRD, FOURTH), start=1):
            await stage.at_place(name, place)
        await stage.type("queue", DEVICE)

    async def _one_cancelled(self) -> None:
        stage = self._stage
        stage.tell(
            f"3. Somebody cancels {THIRD}, which was not started yet. Somebody else switches the"
            " scanner's computer off: it takes no orders any more, but the scan that runs ends well."
        )
        await stage.knobs(DEVICE, outage="refuse")
        await stage.type("cancel", THIRD)
        await stage.reaches(THIRD, S.CANCELLED)
        await stage.at_place(FOURTH, 3)

    async def _switched_off(self) -> None:
        stage, off_s = self._stage, self._pace.off_s
        stage.tell(
            f"4. {URGENT}'s START is due, and the scanner is switched off: {URGENT} is READY and tried"
            " again and again, and the queue stands behind it."
        )
        await stage.reaches(FIRST, S.ACQUIRED, limit_s=self._first_scan_s + SOON_S)
        await stage.until(f"{URGENT} is tried again", _is(EventKind.RETRYING, URGENT))
        await stage.type("queue", DEVICE)
        await asyncio.sleep(off_s)
        self._no_start_but(FIRST)
        stage.tell(f"   After {off_s:g} s it is switched on again: {URGENT} is started by itself.")
        await stage.knobs(DEVICE)
        await stage.reaches(URGENT, S.RUNNING)

    async def _manager_away(self) -> None:
        stage, away_s = self._stage, self._pace.away_s
        stage.tell(
            f"5. The exam manager is away for {away_s:g} s. {SECOND} is next and needs a record from"
            " it: it is WAITING, nothing fails, and the outage is announced once."
        )
        await stage.knobs(EXAM, outage="refuse")
        await stage.reaches(SECOND, S.WAITING, limit_s=self._pace.scan_s + SOON_S)
        await stage.until("an outage is announced", _of_manager(S.WAITING))
        await stage.type("queue", DEVICE)
        await asyncio.sleep(away_s)
        self._no_start_but(FIRST, URGENT)
        # For its START, which comes as soon as the manager is back. Its data would tell that it was
        # started: until the line is cut, at the news of UNKNOWN, it must not have come so far.
        scan_s = max(self._pace.scan_s, self._command_s)
        await stage.knobs(DEVICE, drop_after=1, silent=True, scan_seconds=scan_s)
        stage.tell(f"   The exam manager is back: {SECOND} goes on by itself.")

    async def _line_cut(self) -> None:
        stage = self._stage
        stage.tell(
            f"6. The scanner takes {SECOND}'s START, and its line is cut before it answers. Nobody can"
            " know from here whether it started: it is UNKNOWN and not sent again, and the queue"
            " stands."
        )
        await stage.knobs(EXAM)
        unknown = await stage.reaches(SECOND, S.UNKNOWN)
        stage.cut_line()
        await stage.until("the outage's end is announced", _of_manager(S.ACCEPTED))
        record = canonical(unknown.record_id or 0)
        await stage.type("queue", DEVICE)
        self._no_start_but(FIRST, URGENT, SECOND)
        stage.say(f"  [the scanner's own screen]  record {record}: measuring")
        answer = await self._ask("Look at the scanner. Was it started?")
        if not answer.yes:
            self.sent_again = frozenset({SECOND})
        since = len(stage.events)
        await stage.type("confirm", record, "started" if answer.yes else "not-started")
        stage.mend_line()
        stage.tell("   The scanner's line is mended.")
        await stage.knobs(DEVICE)
        goal = S.STARTED if answer.yes else S.READY
        await stage.reaches(SECOND, goal, since=since)

    async def _all_others(self) -> None:
        stage = self._stage
        stage.tell("7. All others go on by themselves, to their images.")
        for name in (FIRST, URGENT, SECOND, FOURTH):
            await stage.reaches(name, S.COMPLETED, limit_s=2 * self._pace.scan_s + SOON_S)
        await stage.type("queue", DEVICE)

    def _no_start_but(self, *names: str) -> None:
        taken = [start.request_id for start in self._stage.starts()]
        if taken != list(names):
            raise StoryError(f"the scanner took {', '.join(taken)}, not {', '.join(names)}")


def _is(kind: EventKind, name: str) -> Callable[[ScanEvent], bool]:
    return lambda event: event.event is kind and event.request_id == name


def _of_manager(state: ScanState) -> Callable[[ScanEvent], bool]:
    return lambda event: event.manager is not None and event.state is state
