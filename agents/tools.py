"""What all agents work with, put together once by faust_app.py."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from datalake import DataLake
from managers import Managers
from models import wire
from models.base import canonical
from models.errors import FatalError, PoisonError
from models.events import EventKind, ScanEvent, ScanState
from models.wire import Cause
from settings import Settings
from streams.clock import Clock
from streams.deadletters import DeadLetters
from streams.flood import Flood
from streams.guard import Guard
from streams.inbound import Headers, Inbound
from streams.metrics import Metrics
from streams.outbox import Outbox, standard_headers
from streams.window import LeftError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A ScanEvent to be; `unique` makes its id, so that a repeat has the same one."""

    event: EventKind
    unique: str
    fields: dict[str, Any] = field(default_factory=dict)


def changed(
    state: ScanState, previous: ScanState | None, unique: str, **fields: Any
) -> Announcement:
    """Announce a change of state."""
    return Announcement(
        event=EventKind.STATE_CHANGED,
        unique=f"{state}/{unique}",
        fields={"state": state, "previous": previous, **fields},
    )


class Pool:
    """Bounded background work: one task for each key; an exception of one ends the worker."""

    def __init__(self, size: int, fatal: Callable[[BaseException], None]) -> None:
        self._slots = asyncio.Semaphore(size)
        self._fatal = fatal
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    async def close(self) -> None:
        """End what is under way, as the worker stops: durable rows begin it again."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._tasks)

    def submit(self, key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start work in the background, unless work of this key is under way."""
        if key in self._tasks:
            return
        task = asyncio.create_task(self._run(work))
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))

    async def _run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async with self._slots:
            await work()

    def _ended(self, key: str, task: "asyncio.Task[None]") -> None:
        del self._tasks[key]
        if task.cancelled():
            if not self._closing:
                self._fatal(FatalError("background work was cancelled"))
        elif (error := task.exception()) is not None:
            self._fatal(error)


async def always_caught_up(partition: int, since_ms: int) -> bool:
    """Take all inputs for read; the running worker looks (streams/caughtup.py)."""
    del partition, since_ms
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The worker's parts, as agents see them."""

    settings: Settings
    partitions: int
    clock: Clock
    guard: Guard
    outbox: Outbox
    dead_letters: DeadLetters
    managers: Managers
    lake: DataLake
    files: Pool
    metrics: Metrics
    draining: Callable[[], bool]
    bugs: Flood = field(default_factory=Flood)
    fresh: Callable[[Inbound], bool] = lambda _: True
    """Whether nobody can have begun a scan job before (streams/fresh.py)."""
    caught_up: Callable[[int, int], Awaitable[bool]] = always_caught_up
    """Whether all that a record's partition was sent up to a broker time (ms) has been handled."""

    behind: Callable[[Inbound], Sequence[Any]] = lambda _: ()
    """The messages that wait behind one in its topic, of the same key (Window.behind)."""

    def go_on(self) -> None:
        """Begin nothing new while the worker stops. Raises LeftError: the message comes again."""
        if self.draining():
            raise LeftError

    async def announce(
        self,
        announcements: list[Announcement],
        *,
        key: str,
        trace: Headers = (),
        **identity: Any,
    ) -> None:
        """Send ScanEvents, in order, on one key: the record's id, or the request's before it.

        The broker has them on return: events are out before the row that they tell of is written.
        A crash in between announces again, with the same ids; the other way round it would not.
        """
        await self.confirm(await self.say(announcements, key=key, trace=trace, **identity))

    async def confirm(self, sent: list[Awaitable[Any]]) -> None:
        """Wait until the broker has what was said."""
        for acknowledged in sent:
            await self.outbox.confirm(acknowledged)

    async def say(
        self,
        announcements: list[Announcement],
        *,
        key: str,
        trace: Headers = (),
        **identity: Any,
    ) -> list[Awaitable[Any]]:
        """Put ScanEvents into their batch, in order; gives what `confirm` waits for."""
        sent: list[Awaitable[Any]] = []
        for one in announcements:
            told = {**identity, **one.fields}
            # A command's answer has one id, whether its scan has a record by now or not.
            answers = one.event is EventKind.COMMAND_ANSWERED
            owner = str(told.get("device_id")) if answers else key
            event_id = wire.make_id(owner, one.event, one.unique)
            event = ScanEvent(event_id=event_id, event=one.event, at=self.clock.wall(), **told)
            headers = standard_headers(event.request_id or key, event_id, trace)
            self.metrics.announced(event.event, event.state or "").inc()
            value = event.to_bytes()
            sent.append(await self.outbox.put(wire.SCAN_EVENTS, key.encode(), value, headers))
        return sent

    async def settle(
        self,
        inbound: Inbound,
        handler: Callable[[Inbound], Awaitable[Awaitable[Any] | None]],
        *,
        bugs_are_fatal: bool = False,
    ) -> Awaitable[Any] | None:
        """Let a handler settle a message, whatever is in it; gives what it left to be awaited.

        A message that is at fault becomes a dead letter. So does one that met a bug of ours, with
        the place of the bug in the log but no text of the exception, which may hold input. Where a
        bug must not be passed over (`bugs_are_fatal`: the message may have started a scan) the worker
        stops instead, and the message comes again.
        """
        began = self.clock.monotonic()
        rest = None
        try:
            rest = await handler(inbound)
        except PoisonError as error:
            await self.dead_letters.bury(inbound, error, stage=handler.__name__)
        except (FatalError, LeftError):
            raise
        except Exception as error:
            name = type(error).__name__
            self._log_bug(name, inbound, error)
            if bugs_are_fatal:
                raise
            await self.dead_letters.bury(
                inbound,
                PoisonError(f"internal error {name}", Cause.INTERNAL),
                stage=handler.__name__,
            )
        settled, seconds = self.metrics.settled(inbound.topic)
        settled.inc()
        seconds.observe(self.clock.monotonic() - began)
        return rest

    def _log_bug(self, name: str, inbound: Inbound, error: Exception) -> None:
        """Say where a bug is, some times in a minute: a flood of one kind is counted, not printed."""
        now, place = self.clock.monotonic(), inbound.here
        for subject, left_out in self.bugs.over(now):
            log.error("internal errors %s: %s more", " ".join(subject), left_out)
        if self.bugs.take((inbound.topic, name), now):
            where = "".join(traceback.format_tb(error.__traceback__)[-3:])
            log.error("internal error %s at %s\n%s", name, place, where)


def request_mark(request_id: str, device_id: str) -> str:
    """Give what a record's comment says of its request, so that it can be found again.

    The identity of a job is (device, request id), so the mark holds both.
    """
    return f"request {request_id} [{wire.make_id(request_id, 'record', device_id)}]"


def record_key(record_id: int | str) -> str:
    """Give the key of a record's messages and rows."""
    return canonical(record_id)
