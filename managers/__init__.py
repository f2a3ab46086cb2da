"""Who is asked: HTTP clients of the device, sequence, exam and login managers, and of a device.

Errors are models.errors.TransientError and PermanentError, with sentences that are safe to show.
"""

from managers.address import Address
from managers.bundle import Managers, open_managers
from managers.devices import DeviceManager
from managers.exams import ExamManager
from managers.login import LoginManager
from managers.scanner import Scanner
from managers.sequences import Sequence, SequenceManager
from managers.workflows import FrozenError, GivenTask, GivenWorkflow

__all__ = [
    "Address",
    "DeviceManager",
    "ExamManager",
    "FrozenError",
    "GivenTask",
    "GivenWorkflow",
    "LoginManager",
    "Managers",
    "Scanner",
    "Sequence",
    "SequenceManager",
    "open_managers",
]
