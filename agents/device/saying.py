"""What a device's aggregate says of a job, and the ids under which it says it: equal on every repeat."""

from typing import Final

from agents.device.state import RequestRow
from agents.tools import Announcement, changed
from models import wire
from models.events import ScanState

BEHIND: Final = "jobs before it wait"


def task_id(row: RequestRow) -> str:
    """Give the message-id of a job's newest DeviceTask; an older one is stale."""
    return wire.make_id(row.request_id, f"device-task/{row.job.device_id}", row.tasks)


def parked_unique(row: RequestRow) -> str:
    """Tell one job's announcements from another's with the same request id on another device."""
    return f"{row.job.device_id}/{row.attempt}/{row.starts}"


def lined_up(row: RequestRow) -> list[Announcement]:
    """Announce a job that was parked as it came."""
    waiting = changed(ScanState.WAITING, ScanState.ACCEPTED, parked_unique(row), cause=BEHIND)
    return [accepted(row), waiting]


def accepted(row: RequestRow) -> Announcement:
    """Announce that a job was accepted."""
    return changed(ScanState.ACCEPTED, None, row.job.device_id)
