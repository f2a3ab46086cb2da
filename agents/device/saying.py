"""What a device's aggregate says of a job, and the ids under which it says it: equal on every repeat."""

from collections.abc import Awaitable
from typing import Any

from agents.device.decide import Wait
from agents.device.state import RequestRow
from agents.states import path
from agents.tools import Announcement, Tools, changed, record_key
from models import wire
from models.events import EventKind, ScanState


def task_id(row: RequestRow) -> str:
    """Give the message-id of a job's newest DeviceTask; an older one is stale."""
    return wire.make_id(row.request_id, f"device-task/{row.job.device_id}", row.tasks)


def parked_unique(row: RequestRow) -> str:
    """Tell one job's announcements from another's with the same request id on another device."""
    return f"{row.job.device_id}/{row.attempt}/{row.starts}/{row.moves}"


def accepted(row: RequestRow) -> Announcement:
    """Announce that a job was accepted."""
    return changed(ScanState.ACCEPTED, None, row.job.device_id)


def moved(
    row: RequestRow,
    goal: ScanState,
    cause: str | None,
    *,
    advice: str | None = None,
    place: int | None = None,
) -> tuple[RequestRow, list[Announcement]]:
    """Take a job without a record to a state, through those between; gives what is to be announced.

    Each move has its number, so that a job which goes the same way twice says so twice.
    """
    announcements = []
    for state in path(row.stage, goal):
        last = state is goal
        told = {"cause": cause, "advice": advice, "count": place} if last else {}
        announcements.append(changed(state, row.stage, parked_unique(row), **told))
        row = row.model_copy(update={"stage": state, "moves": row.moves + 1})
    return row.model_copy(update={"stage": goal, "cause": cause, "advice": advice}), announcements


def lined_up(row: RequestRow, wait: Wait, place: int) -> tuple[RequestRow, list[Announcement]]:
    """Announce a job that was parked as it came."""
    told = place if wait.state is ScanState.QUEUED else None
    after, announcements = moved(row, wait.state, wait.cause, advice=wait.advice, place=told)
    return after, [accepted(row), *announcements]


def in_place(row: RequestRow, place: int, unique: str) -> Announcement:
    """Announce that a queued job's place changed."""
    return Announcement(
        event=EventKind.PROGRESS,
        unique=f"place/{row.job.device_id}/{place}/{unique}",
        fields={"state": ScanState.QUEUED, "count": place},
    )


async def announce(tools: Tools, row: RequestRow, announcements: list[Announcement]) -> None:
    """Announce what happened to a job; the broker has it on return."""
    await tools.confirm(await say(tools, row, announcements))


async def say(
    tools: Tools, row: RequestRow, announcements: list[Announcement]
) -> list[Awaitable[Any]]:
    """Announce it on its record's key once it has one, else its request's; `confirm` waits for it."""
    job = row.job
    return await tools.say(
        announcements,
        key=row.request_id if row.record_id is None else record_key(row.record_id),
        trace=row.trace,
        request_id=row.request_id,
        job_id=job.job_id,
        record_id=row.record_id,
        device_id=job.device_id,
        workflow_id=job.workflow_id,
    )
