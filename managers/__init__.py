"""Who is asked: HTTP clients of the device, sequence and exam managers, and of a device.

Errors are models.errors.TransientError and PermanentError, with sentences that are safe to show.
"""

from managers.address import Address
from managers.bundle import Managers, open_managers
from managers.devices import DeviceManager
from managers.exams import ExamManager
from managers.scanner import Scanner
from managers.sequences import Sequence, SequenceManager

__all__ = [
    "Address",
    "DeviceManager",
    "ExamManager",
    "Managers",
    "Scanner",
    "Sequence",
    "SequenceManager",
    "open_managers",
]
