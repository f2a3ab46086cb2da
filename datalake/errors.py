"""Errors of the operating system, sorted into the house's tree.

A sentence made here names the kind of error and never a path or a file's name: both may come from
a sender and may hold a patient's name (promise 8).
"""

import errno

from models.errors import PoisonError, ScanHubError, TransientError
from models.wire import Cause

_LEADS_AWAY = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG})
_NOT_REGULAR = frozenset({errno.EISDIR, errno.ENXIO, errno.ENODEV})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class FileMissing(TransientError):  # noqa: N818 - a fact that callers ask for by name, no fault
    """No such file now; on a network file system it may still come."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, sent=False)


def sort_os_error(error: OSError, what: str = "the announced file") -> ScanHubError:
    """Give the house's error for one of the operating system's; `what` was being worked on.

    Whatever is not the sender's fault is transient: a full, read-only or broken disk, a lost
    network mount, missing rights. People repair those while the work waits as open work.
    """
    code = error.errno
    if code == errno.ENOENT:
        return FileMissing(f"{what} is not there")
    if code in _LEADS_AWAY:
        return PoisonError(f"{what} is not reached by plain folders", Cause.PATH_REFUSED)
    if code in _NOT_REGULAR:
        return PoisonError(f"{what} is not a regular file", Cause.FILE_REFUSED)
    name = errno.errorcode.get(code or 0, "unknown error")
    if code in _FULL:
        return TransientError(f"the data lake is full ({name})", sent=False)
    return TransientError(f"{what} can't be read or written now ({name})", sent=False)
