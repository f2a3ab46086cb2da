"""Faults of a device, beside those that every simulated service has."""

from typing import Annotated

from pydantic import Field

from sandbox.managers.knobs import Knobs

Percent = Annotated[int, Field(ge=0, le=100)]


class DeviceKnobs(Knobs):
    """`POST /_sandbox/knobs` of a device. Each scan keeps those that held when it was started."""

    require_fencing: bool = False
    """A START without a fencing token above the last one taken is refused with 409."""
    fail_at_percent: Percent | None = None
    """Scans fail there: status FAILED, and no data."""
    scan_seconds: float | None = Field(default=None, ge=0, le=86_400)
    """In place of the one from the command line."""
    status_device_id: str | None = None
    """Statuses name this device in place of the scan's own."""
    silent: bool = False
    """No status at all; the data come all the same."""
    upload: bool = True
    """Whether the data are delivered."""
