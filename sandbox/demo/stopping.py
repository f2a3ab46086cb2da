"""Ctrl-C and SIGTERM: the first one ends the run, those that follow wait for the clean-up."""

import asyncio
import signal
from collections.abc import Coroutine
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar

_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)
_T = TypeVar("_T")


class Interrupted(KeyboardInterrupt):
    """The run is to end. A KeyboardInterrupt: asyncio and others let it pass on its way up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number  # what a shell reports of a program that a signal ended


class Interruptible:
    """A block that a signal leaves as `Interrupted`, also where it is in the middle of a `run`.

    Inside asyncio a signal cancels the main task: an exception out of nowhere would hit whatever
    task runs at that moment.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._task: asyncio.Task[Any] | None = None
        self._number = 0

    def run(self, main: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine to its end, as asyncio.run does."""

        async def tracked() -> _T:
            self._task = asyncio.current_task()
            try:
                return await main
            finally:
                self._task = None

        try:
            result = asyncio.run(tracked())
        except asyncio.CancelledError:
            if not self._number:
                raise  # nobody asked for it: a fault of ours
            raise Interrupted(self._number) from None
        if self._number:  # it came too late to be noticed in there
            raise Interrupted(self._number)
        return result

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        for each in _NUMBERS:
            signal.signal(each, signal.SIG_IGN)  # all clean-ups are bounded in time
        self._number = number
        if self._task is None:
            raise Interrupted(number)
        self._task.cancel()
        # Python runs this between two steps; the loop may be asleep and has to be woken.
        self._task.get_loop().call_soon_threadsafe(lambda: None)

    def __enter__(self) -> Self:
        for number in _NUMBERS:
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
