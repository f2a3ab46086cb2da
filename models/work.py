"""Rows of open work, as tables keep them and as `queue` and `watch` read them from the changelog.

No patient data lies in them: names, reasons and times only (promise 8).
"""

from typing import Final

from models.base import Message, RecordId
from models.events import ScanState


class WorkRow(Message):
    """What every row of open work has; aggregates add their own fields."""

    due_ms: int | None = None
    """Broker time at which it goes on by itself; None: something else will wake it."""
    version: int = 0
    """Grows with each write: a timer's message counts only for the version that it was set for."""


AT_DEVICE: Final = "p"
"""Prefix of the rows of jobs that hold the device: READY, or started and not over yet."""
PARKED: Final = "q"
"""Prefix of the rows of jobs that wait and go on by themselves: WAITING, QUEUED, or HELD with their
device. The rest of such a name sorts: urgent ones first, then as they came."""
HELD: Final = "h"
"""Prefix of the rows of jobs that wait for a person."""
ON_HOLD: Final = "d"
"""Name of the row of a device that a person put on hold."""


class ParkedRow(WorkRow):
    """A job that can't go on now, or that holds its device; or the hold of a device (`d`)."""

    request_id: str = ""
    reason: str = ""
    tries: int = 0
    """How often it was tried since it was parked, for the back-off."""
    faults: int = 0
    """How often a manager that is well failed for this request alone."""
    state: ScanState | None = None
    """The job's state, as far as its device's aggregate knows."""
    since_ms: int | None = None
    """Broker time since when it is in this state."""
    record_id: RecordId | None = None
    job_id: RecordId | None = None
    waiting: bool = True
    """For a job that holds the device: whether its START is still to be tried (READY)."""
    by: str | None = None
    """Who put the device, or the job, on hold."""
    overdue: int = 0
    """How often it was announced that it holds the device for too long."""
