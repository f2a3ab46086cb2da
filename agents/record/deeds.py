"""What a person's command does to a scan that has a record: plain functions, no I/O."""

from typing import Any, Final, NamedTuple

from agents.device.deeds import NO_EMERGENCY_STOP, asked
from agents.record import decide
from agents.record.state import ScanRow
from agents.states import RANK
from agents.tools import Announcement
from models.base import RecordId
from models.events import EventKind, ScanState
from models.scan import ScanCommand, ScanCommandKind

K = ScanCommandKind
S = ScanState

LEFT_ALONE: Final = (S.READY, S.STARTED, S.RUNNING)
"""A scan in these states is its scanner's; a person may end it only when it is silent for too long.
READY: where devices read their orders themselves."""
OVER_AT_DEVICE: Final = (S.ACQUIRED, S.RECONSTRUCTING)


class Answer(NamedTuple):
    """What becomes of a command; `started` is told to the device's aggregate, None = nothing is."""

    row: ScanRow
    announcements: list[Announcement]
    started: bool | None = None


def answer(row: ScanRow, command: ScanCommand, now_ms: int, *, gateway: bool) -> Answer | None:
    """Decide what a command does to a scan; None: it was not started, its device's aggregate decides."""
    who, kind = asked(command), command.command
    problem, advice = _misled(row, command), None
    cancels = problem is None and kind is K.CANCEL and _may_be_cancelled(row, gateway=gateway)
    if problem is not None or cancels:
        pass
    elif row.state.final:
        problem = f"the scan is {row.state}"
    elif kind is K.CONFIRM:
        problem = None if row.state is S.UNKNOWN else f"the scan is {row.state}, not UNKNOWN"
    elif is_not_begun(row, gateway=gateway):
        return None
    elif row.state in OVER_AT_DEVICE:
        problem = f"the scan is {row.state}, and over at its device"
        advice = "CANCEL ends it; an image that comes later is kept."
    else:
        problem, advice = f"this device takes no {kind}", NO_EMERGENCY_STOP
    if problem is not None:
        said = answered(command, f"{problem}: nothing was done{who}", row, advice)
        return Answer(row, [said])
    if cancels:
        cause = f"cancelled by a person{who}"
        row, moved = decide.move(row, S.CANCELLED, now_ms, gateway=gateway, cause=cause)
        done = "taken: the scan is CANCELLED; its scanner is told nothing"
        return Answer(row, [answered(command, done + who, row, NO_EMERGENCY_STOP), *moved])
    goal = S.STARTED if command.started else S.READY
    row, moved = decide.move(row, goal, now_ms, cause=f"confirmed by a person{who}")
    done = "taken: it was started" if command.started else "taken: it is sent once more"
    return Answer(row, [answered(command, done + who, row), *moved], command.started)


def is_not_begun(row: ScanRow, *, gateway: bool) -> bool:
    """Tell whether a scan still is in its device's queue: no order is out, as far as is known here."""
    return RANK[row.state] < RANK[S.READY] or (row.state is S.READY and gateway)


def unknown(command: ScanCommand, record_id: RecordId) -> Announcement:
    """Answer a command to a scan of which nothing is known."""
    said = answered(command, f"no such scan is known: nothing was done{asked(command)}", None)
    said.fields.update(record_id=record_id, device_id=command.device_id)
    return said


def answered(
    command: ScanCommand, sentence: str, row: ScanRow | None, advice: str | None = None
) -> Announcement:
    """Announce the answer to a command; its id is made from the command's, so it is given once."""
    fields: dict[str, Any] = {"cause": sentence, "advice": advice, "command_id": command.command_id}
    if row is not None:
        fields |= {"state": row.state, "attempt": row.attempt}
    return Announcement(event=EventKind.COMMAND_ANSWERED, unique=command.command_id, fields=fields)


def _misled(row: ScanRow, command: ScanCommand) -> str | None:
    """Say why a command can't be meant for this scan as it is; None if it can."""
    if command.device_id != row.scan.device_id:
        return "the scan is another device's"
    if command.scan_request_id not in (None, row.scan.request_id):
        return "the scan is another request's"
    if command.attempt not in (None, row.attempt):
        return f"attempt {row.attempt} is the newest"
    return None


def _may_be_cancelled(row: ScanRow, *, gateway: bool) -> bool:
    if row.state is S.UNKNOWN or row.state in OVER_AT_DEVICE:
        return True
    return row.overdue and row.state in LEFT_ALONE and not is_not_begun(row, gateway=gateway)
