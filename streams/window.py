"""The async window: many messages at once, one at a time for each key, acknowledged in order.

One window serves all topics of an aggregate, and serialises by (partition, key), never by topic:
with a window for each topic two messages of one key would run at once and lose updates (measured:
982 of 2,000). Nothing waits in here: a handler holds its slot for one HTTP attempt at most; one stuck
window stops the whole worker, as all topics share one fetch loop.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import Any

from models.errors import FatalError
from streams.ledger import Entry, Ledger


class LeftError(Exception):
    """A handler left its message where it may be left, as the worker stops: it comes again."""


class Window:
    """Runs `handle` for each event; acknowledges events in order, each once.

    A handler that raises has not settled its message, and going on would lose it: `fatal` is called
    with the exception and must not return to normal work. `whole` tells whether no message before
    this one got lost on its way from the fetcher.
    """

    def __init__(
        self,
        handle: Callable[[Any], Awaitable[None]],
        *,
        in_flight: int,
        generation: Callable[[], int],
        fatal: Callable[[BaseException], None],
        whole: Callable[[Any], bool] = lambda _: True,
    ) -> None:
        self._handle = handle
        self._generation = generation
        self._fatal = fatal
        self._whole = whole
        self._limit = in_flight * 4
        self._slots = asyncio.Semaphore(in_flight)
        self._room = asyncio.Event()
        self._room.set()
        self._ledger: Ledger[Any] = Ledger()
        self._tails: dict[Hashable, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._acknowledge: Callable[[Any], Awaitable[Any]]
        self._draining = False
        self._closing = False
        self.working = 0

    @property
    def draining(self) -> bool:
        """Whether nothing more may be begun; a handler between two effects should leave, too."""
        return self._draining

    @property
    def open(self) -> int:
        """How many messages came and are not acknowledged."""
        return self._ledger.size

    async def run(
        self, events: AsyncIterator[Any], acknowledge: Callable[[Any], Awaitable[Any]]
    ) -> None:
        """Take events until the stream ends; ends its tasks with it."""
        self._acknowledge = acknowledge
        try:
            async for event in events:
                await self._room.wait()
                self._take(event)
        finally:
            self._closing = True
            for task in self._tasks:
                task.cancel()

    def _take(self, event: Any) -> None:
        message = event.message
        if self._draining or message.generation_id != self._generation():
            return  # of an assignment that is gone: it is delivered again, here or elsewhere
        if not self._whole(message):
            # One before it was dropped on the way. To go on would break the key's order, so it is left:
            # mostly Faust seeks back at once (the end of a recovery); where it does not, the consumer
            # notices that nothing goes on (streams/consumer.py), and the worker ends.
            return
        entry = self._ledger.begin(message.tp, event)
        if self._ledger.size >= self._limit:
            self._room.clear()
        key: Hashable = (
            (message.tp, message.offset)
            if message.key is None
            else (message.partition, message.key)
        )
        task = asyncio.create_task(self._work(event, entry, self._tails.get(key)))
        self._tails[key] = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, key))

    async def _work(self, event: Any, entry: Entry[Any], before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        async with self._slots:
            if self._draining or event.message.generation_id != self._generation():
                return  # not begun, so it may be left: un-acknowledged, it comes again
            self.working += 1
            try:
                await self._handle(event)
            except LeftError:
                return
            finally:
                self.working -= 1
        for ready in self._ledger.finish(entry):
            if ready.message.generation_id == self._generation():
                await self._acknowledge(ready)
        if self._ledger.size < self._limit:
            self._room.set()

    def _ended(self, task: asyncio.Task[None], key: Hashable) -> None:
        self._tasks.discard(task)
        if self._tails.get(key) is task:
            del self._tails[key]
        if task.cancelled():
            # Not by us: something that it waited for was cancelled, and its message is not settled.
            if not self._closing:
                self._fatal(FatalError("a handler was cancelled"))
        elif (error := task.exception()) is not None:
            self._fatal(error)

    async def drain(self, limit_s: float) -> bool:
        """Begin nothing more, let what runs finish; tell whether all did within the limit.

        Afterwards the window is empty and takes events of the next assignment.
        """
        self._draining = True
        self._room.set()
        try:
            pending = set(self._tasks)
            if pending:
                _, pending = await asyncio.wait(pending, timeout=limit_s)
            return not pending
        finally:
            self._ledger.clear()
            self._draining = False
