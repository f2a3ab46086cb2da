"""How long a scan may be silent, and what is said when it was: plain functions, no I/O, no clock."""

from typing import Final

from agents.record.state import ScanRow
from agents.states import RANK
from agents.tools import Announcement
from models.events import EventKind, ScanState
from settings import Settings

S = ScanState

_LOOK: Final = "Look at the scanner. Its next status or its result settles it"
ADVICE: Final = {
    S.READY: f"{_LOOK}; cancel the scan when it will not be done.",
    S.STARTING: f"{_LOOK}. If the workers are well, the answer to START never came.",
    S.UNKNOWN: f"{_LOOK}, or a person does (started or not started); cancel it when it is over.",
    S.STARTED: f"{_LOOK}; cancel it when it is over.",
    S.RUNNING: f"{_LOOK}; cancel it when it is over.",
    S.ACQUIRED: "Look at the reconstruction worker. Cancel the scan when no image will come.",
    S.RECONSTRUCTING: "Look at the reconstruction worker. Cancel the scan when no image will come.",
}
BY_WORKFLOW: Final = (
    "Its workflow has a task of its own for the reconstruction: look at the workflow, resume it, or"
    " cancel the scan."
)
WHOLE: Final = 100


def limit_s(row: ScanRow, settings: Settings) -> float | None:
    """Say how long nothing may come of a scan in its state; None: it is not for us to wait for it.

    Before START it waits in its device's queue, and is seen there.
    """
    if row.state is S.READY:
        return None if settings.gateway else settings.first_status_s
    if row.state in (S.STARTING, S.UNKNOWN, S.STARTED):
        return settings.first_status_s
    if row.state is S.RUNNING:
        return settings.silence_s
    if row.state in (S.ACQUIRED, S.RECONSTRUCTING):
        return settings.reconstruction_s
    return None


def seen(before: ScanRow, after: ScanRow, now_ms: int, *, evidence: bool) -> ScanRow:
    """Note that something came of a scan: it is not overdue any more, and its time begins anew.

    What a scanner says after its data are here is no sign of the reconstruction. A final row keeps
    what was known, so that the message that ended it finds it again.
    """
    moved = after.state is not before.state
    running = RANK[after.state] < RANK[S.ACQUIRED]
    news = moved or (evidence and (running or after.files != before.files))
    if after.state.final or not news:
        return after
    overdues = 0 if moved else after.overdues
    return after.model_copy(update={"seen_ms": now_ms, "overdue": False, "overdues": overdues})


def overdue(row: ScanRow, limit: float) -> tuple[ScanRow, Announcement]:
    """Announce that nothing came of a scan for too long. Nothing else is done: a person decides."""
    count = row.overdues + 1
    if row.state in (S.ACQUIRED, S.RECONSTRUCTING):
        missing = "no image"
    elif row.state is not S.RUNNING:
        missing = "no status"
    elif row.percent == WHOLE:
        missing = "100 % and no result"
    else:
        missing = "no status and no result"
    told = Announcement(
        event=EventKind.OVERDUE,
        unique=f"silent/{row.state}/{row.attempt}/{row.turns}/{count}",
        fields={
            "state": row.state,
            "cause": f"{missing} for {limit:g} s",
            "advice": BY_WORKFLOW if _waits_for_workflow(row) else ADVICE[row.state],
            "count": count,
            "attempt": row.attempt,
        },
    )
    return row.model_copy(update={"overdue": True, "overdues": count}), told


def _waits_for_workflow(row: ScanRow) -> bool:
    return row.state is S.ACQUIRED and row.scan.reconstruct is False
