"""The record aggregate's decisions: plain functions, no I/O, no clock, no Faust."""

from typing import Final

from agents.record.state import ScanRow
from agents.states import BACK, RANK, path
from agents.tools import Announcement, changed
from models.base import canonical
from models.events import EventKind, ScanState
from models.scan import ScanStatus, StatusState
from models.steps import RecordStep

S = ScanState

BEFORE_ITS_RECORD = (S.WAITING, S.QUEUED, S.HELD)
"""States that a device's aggregate announces itself, besides ACCEPTED."""


def move(
    row: ScanRow,
    goal: ScanState,
    now_ms: int,
    *,
    gateway: bool = True,
    cause: str | None = None,
    advice: str | None = None,
) -> tuple[ScanRow, list[Announcement]]:
    """Take a scan to a state, through all between; nothing if there is no way (promise 5)."""
    way = path(row.state, goal, gateway=gateway)
    announcements = []
    for state in way:
        last = state is goal
        told = {"cause": cause, "advice": advice} if last else {}
        unique = f"{row.attempt}/{row.state}" + (f"/{row.turns}" if row.turns else "")
        announcements.append(changed(state, row.state, unique, attempt=row.attempt, **told))
        released = row.state is S.HELD and state is S.READY
        row = row.model_copy(
            update={
                "state": state,
                "turns": row.turns + released,
                "times": {state: now_ms, **row.times},
                "cause": told.get("cause"),
                "advice": told.get("advice"),
            }
        )
    return row, announcements


def first_seen(step: RecordStep, now_ms: int) -> ScanRow:
    """Make the row of a scan of which this is the first that is heard."""
    if step.scan is None:
        raise ValueError("a step that tells of a scan holds its identity")
    times = {S.ACCEPTED: step.born_ms if step.born_ms is not None else now_ms}
    # After a crash `previous` may be what was to be announced just now.
    said = step.previous if step.previous in BEFORE_ITS_RECORD else None
    return ScanRow(scan=step.scan, state=said or S.ACCEPTED, times=times)


def told_by_device(
    row: ScanRow, step: RecordStep, now_ms: int, *, gateway: bool, offset: int | None = None
) -> tuple[ScanRow, list[Announcement]]:
    """Take what the device's aggregate says of a scan; news that is older than the row is dropped.

    `offset` tells a step that comes again from a new one: READY and HELD may follow each other any
    number of times.
    """
    state = step.state
    attempt = step.attempt or 0
    if (step.creations or 1) > row.creations:
        row = row.model_copy(update={"creations": step.creations})
    if state is None or row.state.final or attempt < row.attempt:
        return row, []
    back = (row.state, state) in BACK
    if attempt == row.attempt and RANK[state] <= RANK[row.state] and not back:
        return row, []  # a repeat, or news that evidence overtook
    if attempt > row.attempt and RANK[row.state] >= RANK[S.STARTED]:
        return row, []
    if offset is not None and attempt == row.attempt and offset < row.heard:
        return row, []  # redelivered: what came after it is known already
    heard = row.heard if offset is None else offset
    row = row.model_copy(update={"attempt": attempt, "heard": heard})
    return move(row, state, now_ms, gateway=gateway, cause=step.cause, advice=step.advice)


def is_settled(row: ScanRow, step: RecordStep) -> bool:
    """Tell whether a scan that its device's aggregate calls UNKNOWN was started, as is known here."""
    return step.state is S.UNKNOWN and RANK[S.STARTED] <= RANK[row.state] < RANK[S.FAILED]


CROWD: Final = 8
"""Statuses of one scan that wait behind one another: from then on only the newest is forwarded."""


def is_outrun(row: ScanRow, message: ScanStatus, following: ScanStatus) -> bool:
    """Tell whether a status need not be forwarded, as the one that follows it says all that it says.

    Only of two plain progresses of a scan that runs, the second no less than the first.
    """
    plain = (None, StatusState.RUNNING)
    return (
        message.state in plain
        and following.state in plain
        and RANK[S.RUNNING] <= RANK[row.state]
        and not row.state.final
        and following.device_id in (None, row.scan.device_id)
        and canonical(following.record_id) == canonical(row.scan.record_id)
        and following.status_percent >= message.status_percent
    )


def status(
    row: ScanRow, message: ScanStatus, unique: str, now_ms: int, *, gateway: bool
) -> tuple[ScanRow, list[Announcement]]:
    """Take a device's status: forward it as PROGRESS, and see how far the scan is by it.

    The status' free text goes into no event: it may hold a name (promise 8).
    """
    percent = message.status_percent
    if row.state.final:
        late = Announcement(
            event=EventKind.LATE, unique=unique, fields={"percent": percent, "state": row.state}
        )
        return row, [late]
    announcements: list[Announcement] = []
    if message.state in (StatusState.FAILED, StatusState.ABORTED):
        cause = f"the device reported {message.state}"
        row, announcements = move(row, S.FAILED, now_ms, gateway=gateway, cause=cause)
    elif RANK[row.state] < RANK[S.RUNNING]:
        row, announcements = move(row, S.RUNNING, now_ms, gateway=gateway)
    row = row.model_copy(update={"percent": max(percent, row.percent or 0)})
    progress = Announcement(
        event=EventKind.PROGRESS, unique=unique, fields={"percent": percent, "state": row.state}
    )
    return row, [*announcements, progress]
