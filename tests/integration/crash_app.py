"""The worker, made to die at one chosen step of taking a result in, once.

The file that CRASH_FILE names holds the step: `linked:2` ends the process, as SIGKILL would, right
after the second file was linked. The file goes with the crash.
"""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from agents.record.book import Book
from agents.record.files import RecordFiles
from faust_app import app
from models import wire
from streams.outbox import Outbox

__all__ = ["app"]

FILE = Path(os.environ["CRASH_FILE"])
_seen: dict[str, int] = {}


def die_if(step: str) -> None:
    """End the process if this is the step, for as many times as the file says."""
    if not FILE.exists():
        return
    wanted = FILE.read_text()
    name, _, count = wanted.partition(":")
    if name != step:
        return
    _seen[wanted] = _seen.get(wanted, 0) + 1
    if _seen[wanted] == int(count):
        FILE.unlink()
        os._exit(137)


def after(owner: Any, name: str, step: Callable[..., str | None]) -> None:
    """Let a coroutine method of a class die after it did its work."""
    real: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = await real(*args, **kwargs)
        here = step(*args, **kwargs)
        if here is not None:
            die_if(here)
        return result

    setattr(owner, name, wrapped)


def _registers(_: Book, __: Any, announcements: list[Any]) -> str | None:
    return "event" if any(a.event == "RESULT_REGISTERED" for a in announcements) else None


def _reco_job(_: Outbox, topic: str, *__: Any, **___: Any) -> str | None:
    return "reco-job" if topic == wire.RECO_JOBS else None


def _row(_: Book, __: int, row: Any, **___: Any) -> str | None:
    return "row" if row.state in ("RECONSTRUCTING", "COMPLETED") else None


after(RecordFiles, "add", lambda *_: "table")
after(Outbox, "deliver", _reco_job)
after(Book, "announce", _registers)
after(Book, "write", _row)
after(Book, "finish", lambda *_: "finished")

_link = os.link


def _dying_link(*args: Any, **kwargs: Any) -> None:
    die_if("copied")
    _link(*args, **kwargs)
    die_if("linked")


os.link = _dying_link
