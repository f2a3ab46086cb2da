"""Outage or own fault: what the managers' answers to other requests say."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from models.errors import TransientError

AnswerT = TypeVar("AnswerT")
_KEPT: Final = 64
_NOT_OF_REQUEST: Final = frozenset({401, 403, 408, 425, 429})
"""Answers that say nothing of this request: a token is missing, or the manager is busy."""


class Manager(Protocol):
    """What is needed of a manager's client."""

    name: str

    async def probe(self) -> bool:
        """Ask whether the manager is there."""
        ...


@dataclass(slots=True)
class _Seen:
    good: dict[str, float] = field(default_factory=dict)
    bad: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=_KEPT))


class Health:
    """Remembers, for each manager, whose requests went well and whose did not, and when.

    A request that fails while others succeed is itself at fault; if others fail as well, or nobody
    else asks and the probe fails, the manager is away, and no attempt is counted: an hour's outage
    fails nothing, and one bad id does not block its device for ever.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._seen: dict[str, _Seen] = {}

    async def ask(self, manager: Manager, subject: str, call: Awaitable[AnswerT]) -> AnswerT:
        """Await a call, and note how it went; a TransientError leaves with `at_fault` set."""
        seen = self._seen.setdefault(manager.name, _Seen())
        try:
            answer = await call
        except TransientError as error:
            of_request = error.sent and error.status not in _NOT_OF_REQUEST
            error.at_fault = of_request and await self._alone(manager, seen, subject)
            seen.bad.append((self._monotonic(), subject))
            raise
        seen.good.pop(subject, None)
        seen.good[subject] = self._monotonic()
        while len(seen.good) > _KEPT:
            del seen.good[next(iter(seen.good))]
        return answer

    async def _alone(self, manager: Manager, seen: _Seen, subject: str) -> bool:
        since = max((at for at, who in seen.bad if who == subject), default=None)
        if since is None:
            return False  # its first failure: what others meet until the next one will tell
        if any(at > since for who, at in seen.good.items() if who != subject):
            return True
        if any(at > since for at, who in seen.bad if who != subject):
            return False
        return await manager.probe()
