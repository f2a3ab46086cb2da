"""The errors of the house, one small tree.

    ScanHubError
    ├── TransientError   may go well later: retried as open work, never lost
    ├── PermanentError   will not go well: the scan is FAILED, with this sentence
    ├── PoisonError      the message is at fault: dead letter, with this cause
    └── FatalError       going on would lose or repeat something: the worker stops

The text of each is shown to people and written to logs: it never holds an input's value
(promise 8).
"""

from models.wire import Cause


class ScanHubError(Exception):
    """Root of the tree; `str(error)` is a sentence that is safe to show."""


class TransientError(ScanHubError):
    """May go well later.

    `sent` says whether a byte of the request may have reached the other side: only where it is
    False may something that is not idempotent be sent again without asking. `at_fault` is set where
    a request fails while the other side is well (agents/device/health.py).
    """

    def __init__(self, sentence: str, *, sent: bool = True, status: int | None = None) -> None:
        super().__init__(sentence)
        self.sent = sent
        self.at_fault = False
        self.status = status


class PermanentError(ScanHubError):
    """Will not go well however often it is tried; `status` is the HTTP status, if there was one."""

    def __init__(self, sentence: str, *, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


class PoisonError(ScanHubError):
    """The message is at fault; `cause` goes into the dead letter's header."""

    def __init__(self, sentence: str, cause: Cause) -> None:
        super().__init__(sentence)
        self.cause = cause


class FatalError(ScanHubError):
    """The worker must stop: it can't keep a promise by going on."""
