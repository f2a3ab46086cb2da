"""What managers answered, kept for seconds, and asked once however many want it at a time."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[V]):
    value: V
    until: float
    size: int


@dataclass(slots=True)
class _Call(Generic[V]):
    task: asyncio.Task[V] | None = None
    waiting: int = 0


def _seen(task: asyncio.Task[V]) -> None:
    # A call that nobody waits for any more may fail: without this the loop would log it.
    if not task.cancelled():
        task.exception()


class Cache(Generic[K, V]):
    """Values by key, for `ttl_s` seconds of `clock`, at most `max_bytes` by `size`.

    The least recently used leave first; a value above the bound is given but not kept. A value's
    age counts from the start of its call: it is never older than `ttl_s`.
    """

    def __init__(
        self,
        *,
        ttl_s: float,
        max_bytes: int,
        size: Callable[[V], int],
        clock: Callable[[], float],
    ) -> None:
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._size = size
        self._clock = clock
        self._kept: OrderedDict[K, _Kept[V]] = OrderedDict()
        self._calls: dict[K, _Call[V]] = {}
        self._bytes = 0

    @property
    def kept_bytes(self) -> int:
        """Size of all that is kept."""
        return self._bytes

    def peek(self, key: K) -> V | None:
        """Give a value that is kept and not too old, without asking anybody."""
        kept = self._kept.get(key)
        return kept.value if kept is not None and self._clock() < kept.until else None

    async def get(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """Give the value that is kept, or that a call of `load` gives, shared by all who wait.

        Raises what `load` raises, to all who wait for it; a failure is not kept. A cancelled
        caller leaves the others' call alone; when the last one goes, the call is cancelled.
        """
        value = self.peek(key)
        if value is not None:
            self._kept.move_to_end(key)
            return value
        self._drop(key)  # it is too old, if it is there
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = _Call()
            call.task = asyncio.create_task(self._run(key, call, load))
            call.task.add_done_callback(_seen)
        task = call.task
        assert task is not None  # noqa: S101 - set in the same step as the call
        call.waiting += 1
        try:
            return await asyncio.shield(task)
        finally:
            call.waiting -= 1
            if not call.waiting and not task.done():
                self._forget_call(key, call)
                task.cancel()

    def forget(self, key: K) -> None:
        """Drop a value; a call under way goes on for those who wait, but is not kept."""
        self._drop(key)
        self._calls.pop(key, None)

    async def _run(self, key: K, call: _Call[V], load: Callable[[], Awaitable[V]]) -> V:
        started = self._clock()
        try:
            value = await load()
            if self._calls.get(key) is call:
                self._keep(key, value, started)
            return value
        finally:
            self._forget_call(key, call)

    def _forget_call(self, key: K, call: _Call[V]) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]

    def _keep(self, key: K, value: V, started: float) -> None:
        size = self._size(value)
        if self._ttl_s <= 0 or size > self._max_bytes:
            return
        self._drop(key)
        self._kept[key] = _Kept(value, started + self._ttl_s, size)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: K) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.size
