"""The processor with one protection switched off, to see that the checker notices.

`CHAOS_BREAK` names the protection. Everything is switched off where the real parts look for it, before
`faust_app` puts them together; a name that is no longer there ends the worker, so that no test passes
because its break broke nothing.
"""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any, Final

from agents import downloads
from agents.device import commands, decide, start_scan
from agents.device.parking import Parking
from agents.device.post_device_task import TaskPoster
from agents.record import book
from agents.record.book import Book
from models.events import ScanState
from streams.deadletters import DeadLetters
from streams.window import Window

LETTER_DELAY_S: Final = 8.0


def break_adoption() -> None:
    """A record that was made for the request before is not found, so another one is made."""
    _replace(decide, "pick_record", lambda *_: None)


def break_intent() -> None:
    """The row STARTING is not written before the POST: a worker that dies leaves no trace of it."""
    real = TaskPoster._write

    class Unwritten:
        async def durable(self) -> int:
            return int(time.time() * 1000)

    def write(self: TaskPoster, partition: int, row: Any) -> Any:
        return Unwritten() if row.stage is ScanState.STARTING else real(self, partition, row)

    _replace(TaskPoster, "_write", write)


def break_ack() -> None:
    """A message is acknowledged when it is taken, not when it and all before it are done."""
    real = Window._take

    def take(self: Window, event: Any) -> None:
        real(self, event)
        self._acknowledge(event)

    _replace(Window, "_take", take)


def break_letter() -> None:
    """A dead letter is sent later, and nobody waits for it before its message is acknowledged."""
    real = DeadLetters.bury

    async def bury(self: DeadLetters, *args: Any, **kwargs: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(LETTER_DELAY_S)
            await real(self, *args, **kwargs)

        task = asyncio.create_task(later())
        _kept.add(task)
        task.add_done_callback(_kept.discard)

    _replace(DeadLetters, "bury", bury)


def break_partition() -> None:
    """A message is handled on the partition where its sender put it."""
    for module in (start_scan, commands, book, downloads):
        _replace(module, "is_in_place", lambda *_: True)


def break_lease() -> None:
    """A job goes on to its device while another scan has it."""
    real = Parking.why_wait

    def why_wait(self: Parking, partition: int, row: Any) -> Any:
        wait = real(self, partition, row)
        return None if wait is decide.BUSY else wait

    _replace(Parking, "why_wait", why_wait)


def break_release() -> None:
    """The record's aggregate does not tell the device's that a scan is over there."""

    async def nothing(*_: Any) -> None:
        return None

    _replace(Book, "_free_device", nothing)


def break_hold() -> None:
    """A device's hold is answered, and nobody looks whether there is one."""
    _replace(Parking, "hold_of", lambda *_: None)


BREAKS: Final[dict[str, Callable[[], None]]] = {
    "adoption": break_adoption,
    "intent": break_intent,
    "ack": break_ack,
    "letter": break_letter,
    "partition": break_partition,
    "lease": break_lease,
    "release": break_release,
    "hold": break_hold,
}
_kept: set[Any] = set()
"""Tasks under way; asyncio itself holds them weakly."""


def _replace(where: Any, name: str, broken: Any) -> None:
    getattr(where, name)  # AttributeError: the protection has moved, and this file must follow it
    setattr(where, name, broken)


if chosen := os.environ.get("CHAOS_BREAK"):
    BREAKS[chosen]()
from faust_app import app  # noqa: E402 - the parts are put together with what was broken

__all__ = ["app"]
