"""Coroutines begun at once, in the caller's turn: most of ours end without waiting for anything.

A task for each costs 20 µs and a turn of the loop (Python 3.12 has eager tasks for this; 3.11 has not).
"""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Rest(Generic[T]):
    """What is left of a coroutine that had to wait; await it once."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        """Go on where the coroutine waits; a cancellation reaches it there."""
        waits_for = self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as error:  # noqa: BLE001 - passed on into the coroutine
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(sent)
        except StopIteration as end:
            value: T = end.value
            return value


def begin(coroutine: Coroutine[Any, Any, T]) -> "tuple[T, None] | tuple[None, Rest[T]]":
    """Run a coroutine up to where it has to wait; gives its value, or the rest of it.

    Raises what it raises before that. It must not use `asyncio.timeout` there: it would be the
    caller's task whose time is limited.
    """
    try:
        return None, Rest(coroutine, coroutine.send(None))
    except StopIteration as end:
        return end.value, None


async def acknowledged(*sendings: Coroutine[Any, Any, Any]) -> None:
    """Do several things of which each only waits for the broker at its end: begun in order, all at once.

    Raises the first error, when all have ended. One that does more after it waited would do that
    late: such things go `together`.
    """
    begun = [_outcome(sending) for sending in sendings]
    for number, (_, rest, _) in enumerate(begun):
        if rest is not None:
            try:
                await rest
            except Exception as error:  # noqa: BLE001 - raised below
                begun[number] = (None, None, error)
    _raise_first([error for _, _, error in begun if error is not None])


async def together(*calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """Do several things side by side; gives their outcomes, errors among them, when all have ended.

    Those that need not wait (kept in a cache) cost no task.
    """
    begun = [_outcome(call) for call in calls]
    _raise_first([e for _, _, e in begun if e is not None and not isinstance(e, Exception)])
    tasks = {n: _task(rest) for n, (_, rest, _) in enumerate(begun) if rest is not None}
    outcomes = [error or value for value, _, error in begun]
    if tasks:
        ended = await asyncio.gather(*tasks.values(), return_exceptions=True)
        for number, outcome in zip(tasks, ended, strict=True):
            outcomes[number] = outcome
    return outcomes


def _outcome(call: Coroutine[Any, Any, T]) -> tuple[T | None, Rest[T] | None, BaseException | None]:
    try:
        return (*begin(call), None)
    except BaseException as error:  # noqa: BLE001 - raised when all have begun
        return None, None, error


def _raise_first(errors: list[BaseException]) -> None:
    if errors:
        raise errors[0]


def _task(rest: Rest[T]) -> "asyncio.Task[T]":
    async def go_on() -> T:
        return await rest

    return asyncio.create_task(go_on())
