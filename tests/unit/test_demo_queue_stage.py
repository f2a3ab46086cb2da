"""The stage of the queue's demo: what the story waits for, and how its play ends."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from rich.console import Console

from models import wire
from models.events import EventKind, ScanEvent, ScanState
from sandbox.demo.bus import Bus
from sandbox.demo.parts import Parts
from sandbox.demo_queue.plan import FIRST
from sandbox.demo_queue.stage import Stage, StoryError
from sandbox.processes import ProcessFailedError

Batch = list[tuple[str, str, dict[str, bytes], bytes]]


class FakeBus:
    """Gives batches one after the other, then nothing for ever."""

    def __init__(self, *batches: Batch) -> None:
        self._batches = list(batches)

    async def read(self) -> Batch:
        await asyncio.sleep(0)
        return self._batches.pop(0) if self._batches else []


class FakeParts:
    """All run, until one has ended."""

    def __init__(self, checks: int = 10**9) -> None:
        self._left = checks

    def check(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ProcessFailedError("worker ended")


def batch(*states: ScanState, number: int = 0) -> Batch:
    return [
        (
            wire.SCAN_EVENTS,
            FIRST,
            {},
            ScanEvent(
                event_id=f"{state}/{number}",
                event=EventKind.STATE_CHANGED,
                at=datetime(2025, 1, 1, tzinfo=UTC),
                request_id=FIRST,
                state=state,
            ).to_bytes(),
        )
        for state in states
    ]


def stage_of(*batches: Batch, parts: FakeParts | None = None) -> Stage:
    bus, fake = cast(Bus, FakeBus(*batches)), cast(Parts, parts or FakeParts())
    return Stage(bus, fake, Console(quiet=True))


async def play(stage: Stage, story: Coroutine[Any, Any, Any]) -> None:
    async with asyncio.timeout(10):
        await stage.play(story)


async def test_a_story_waits_for_what_comes_and_sees_what_came() -> None:
    stage = stage_of(batch(ScanState.ACCEPTED), [], batch(ScanState.READY, ScanState.STARTING))

    async def story() -> None:
        await stage.reaches(FIRST, ScanState.STARTING)
        await stage.reaches(FIRST, ScanState.ACCEPTED)

    await play(stage, story())
    assert stage.scans[FIRST].state is ScanState.STARTING


async def test_what_came_before_does_not_count_where_that_is_asked() -> None:
    stage = stage_of(
        batch(ScanState.READY), batch(ScanState.STARTING), batch(ScanState.READY, number=1)
    )

    async def story() -> None:
        await stage.reaches(FIRST, ScanState.STARTING)
        seen = len(stage.events)
        again = await stage.reaches(FIRST, ScanState.READY, since=seen)
        assert again.event_id == "READY/1"

    await play(stage, story())


async def test_a_repeat_is_told_once() -> None:
    stage = stage_of(batch(ScanState.READY), batch(ScanState.READY), batch(ScanState.STARTING))
    await play(stage, stage.reaches(FIRST, ScanState.STARTING))
    assert len(stage.events) == 2


async def test_what_does_not_come_ends_the_story_with_a_sentence() -> None:
    stage = stage_of(batch(ScanState.ACCEPTED))
    with pytest.raises(StoryError, match=r"job-1 is READY: not within 0\.05 s"):
        await play(stage, stage.reaches(FIRST, ScanState.READY, limit_s=0.05))


async def test_a_part_that_ends_ends_the_story() -> None:
    stage = stage_of(parts=FakeParts(checks=3))
    ended: list[str] = []

    async def story() -> None:
        try:
            await stage.reaches(FIRST, ScanState.READY)
        finally:
            ended.append("story")

    with pytest.raises(ProcessFailedError, match="worker ended"):
        await play(stage, story())
    assert ended == ["story"]
