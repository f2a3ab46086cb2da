"""The async window: many messages at once, one at a time for each key, acknowledged in order.

One window serves all topics of an aggregate, and serialises by (partition, key), never by topic:
with a window for each topic two messages of one key would run at once and lose updates (measured:
982 of 2,000). Nothing waits in here: a handler holds its slot for one HTTP attempt at most (a second
one at once where the manager was busy for a moment); one stuck
window stops the whole worker, as all topics share one fetch loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from models.errors import FatalError
from streams.ledger import Entry, Ledger

MOST_OF_ONE_KEY: Final = 64
"""Open messages of one key in one topic-partition from which on no more of that place are fetched. The
crowd of one key would otherwise fill the window, and everybody behind it would wait for its end."""
FEW_OF_ONE_KEY: Final = 16
"""So few are open when fetching goes on."""
OPEN_PER_SLOT: Final = 20
"""Messages that may be open for each slot: room for what was fetched before a crowd was noticed."""


class LeftError(Exception):
    """A handler left its message where it may be left, as the worker stops: it comes again."""


@dataclass(slots=True)
class _Line:
    """The open messages of one key in one topic-partition."""

    open: int = 0
    waiting: deque[Any] = field(default_factory=deque)
    """Messages that no handler has yet, in order."""


class Window:
    """Runs `handle` for each event; acknowledges events in order, each once.

    What `handle` returns, if anything, is awaited before the event counts as done, while the next of
    the same key goes on: acknowledgements of the broker, on which nothing that follows depends.

    A handler that raises has not settled its message, and going on would lose it: `fatal` is called
    with the exception and must not return to normal work. `whole` tells whether no message before
    this one got lost on its way from the fetcher.
    """

    def __init__(
        self,
        handle: Callable[[Any], Awaitable[Awaitable[Any] | None]],
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
        self._limit = in_flight * OPEN_PER_SLOT
        self._slots = asyncio.Semaphore(in_flight)
        self._room = asyncio.Event()
        self._room.set()
        self._ledger: Ledger[Any] = Ledger()
        self._tails: dict[Hashable, asyncio.Future[None]] = {}
        self._lines: dict[tuple[Hashable, Hashable], _Line] = {}
        self._crowds: set[tuple[Hashable, Hashable]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._acknowledge: Callable[[Any], object]
        self._draining = False
        self._closing = False
        self.working = 0
        """How many handlers run."""
        self.sending = 0
        """How many messages are handled and wait for the broker."""
        self.topics: frozenset[str] = frozenset()
        self.queued: Callable[[], int] = lambda: 0
        """How many messages wait in the stream, to be taken."""

    @property
    def draining(self) -> bool:
        """Whether nothing more may be begun; a handler between two effects should leave, too."""
        return self._draining

    @property
    def open(self) -> int:
        """How many messages came and are not acknowledged."""
        return self._ledger.size

    @property
    def crowded(self) -> set[Hashable]:
        """The topic-partitions from which nothing more is to be fetched now."""
        return {place for place, _ in self._crowds}

    def first_open(self, place: Hashable) -> int | None:
        """Give the offset of a topic-partition's first message that is not done; None if all are."""
        event = self._ledger.first(place)
        return None if event is None else int(event.message.offset)

    def behind(self, topic: str, partition: int, key: bytes | None) -> Sequence[Any]:
        """Give the messages that wait behind the one of this key that is handled, in order.

        Only those of its own topic-partition: between topics there is no order. Each of them comes to
        a handler after it, or again in the next assignment.
        """
        line = self._lines.get(((topic, partition), (partition, key)))
        return () if line is None else line.waiting

    async def run(self, events: AsyncIterator[Any], acknowledge: Callable[[Any], object]) -> None:
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
        counted = (message.tp, key)
        line = self._lines.get(counted)
        if line is None:
            line = self._lines[counted] = _Line()
        line.open += 1
        line.waiting.append(message)
        if line.open >= MOST_OF_ONE_KEY:
            self._crowds.add(counted)
        before = self._tails.get(key)
        turn = self._tails[key] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._work(event, entry, before, turn, line))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, key, turn, counted, line))

    async def _work(
        self,
        event: Any,
        entry: Entry[Any],
        before: asyncio.Future[None] | None,
        turn: asyncio.Future[None],
        line: "_Line",
    ) -> None:
        if before is not None and not before.done():
            await asyncio.shield(before)  # of another message: a cancellation of this one ends here
        async with self._slots:
            line.waiting.popleft()  # it is its turn in its key, so it is the first
            if self._draining or event.message.generation_id != self._generation():
                return  # not begun, so it may be left: un-acknowledged, it comes again
            self.working += 1
            try:
                rest = await self._handle(event)
            except LeftError:
                return
            finally:
                self.working -= 1
        turn.set_result(None)
        if rest is not None:
            self.sending += 1
            try:
                await rest
            finally:
                self.sending -= 1
        for ready in self._ledger.finish(entry):
            if ready.message.generation_id == self._generation():
                self._acknowledge(ready)
        if self._ledger.size < self._limit:
            self._room.set()

    def _ended(
        self,
        key: Hashable,
        turn: asyncio.Future[None],
        counted: tuple[Hashable, Hashable],
        line: "_Line",
        task: asyncio.Task[None],
    ) -> None:
        self._tasks.discard(task)
        line.open -= 1
        if line.open <= FEW_OF_ONE_KEY:
            self._crowds.discard(counted)
        if line.open == 0:
            del self._lines[counted]
        if self._tails.get(key) is turn:
            del self._tails[key]
        if task.cancelled():
            # Not by us: something that it waited for was cancelled, and its message is not settled.
            if not self._closing:
                self._fatal(FatalError("a handler was cancelled"))
        elif (error := task.exception()) is not None:
            self._fatal(error)
        if not turn.done():
            turn.set_result(None)  # last: what follows finds the worker stopping, or leaves as well

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
