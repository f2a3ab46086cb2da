"""Outage or own fault: what the managers' answers to other requests say; and a breaker for each.

A manager that fails for one request after the other, of several jobs or with its own probe, is away: its
breaker opens, and jobs wait without asking it, until its probe is good again. No attempt is counted
then. The outage is over with its first answer. While a breaker is open nothing is asked, not even what
a client still keeps of earlier answers; that is seconds old at most (SCANHUB_CACHE_S).
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, TypeVar

from models.errors import PermanentError, TransientError
from streams.openwork import back_off_ms

AnswerT = TypeVar("AnswerT")
_KEPT: Final = 64
_NOT_OF_REQUEST: Final = frozenset({401, 403, 408, 425, 429})
"""Answers that say nothing of this request: a token is missing, or the manager is busy."""
OPENS_AT: Final = 3
"""So many failures in a row open the breaker, if the probe fails too, or several jobs met them. Only
where most answers are bad: 1 of 20 at random is three in a row every now and then."""
RECENT: Final = 10
"""Of so many answers, good and bad, half must have been bad."""
FRESH_S: Final = 0.3
"""How long the answer to a probe counts."""
FORGOTTEN_S: Final = 60.0
"""An outage of which nobody asks any more is over after so long with a good probe."""


class Manager(Protocol):
    """What is needed of a manager's client."""

    name: str

    async def probe(self) -> bool:
        """Ask whether the manager is there."""
        ...


class Change(NamedTuple):
    """An outage began, or ended."""

    manager: str
    away: bool
    number: int
    """Of this manager's outages since the worker started."""
    lasted_s: float
    why: str = ""
    """What the manager did last: a sentence that is safe to show."""


@dataclass(slots=True)
class _Seen:
    manager: Manager
    good: dict[str, float] = field(default_factory=dict)
    bad: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    failures: int = 0
    """Since the last good answer."""
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Whether the last answers were good."""
    subjects: set[str] = field(default_factory=set)
    """Whose they were."""
    away_since: float | None = None
    opened: int = 0
    """How often the breaker was opened in this outage."""
    open_until: float | None = None
    """When the manager is probed next; None: the breaker is closed."""
    asked_at: float = 0.0
    why: str = ""
    number: int = 0
    told: bool = False
    probed: tuple[float, bool] = (float("-inf"), False)
    """When the manager was probed last, and whether it was alive."""


class Health:
    """Remembers, for each manager, whose requests went well and whose did not, and when.

    A request that fails while others succeed is itself at fault; if others fail as well, or nobody
    else asks and the probe fails, the manager is away, and no attempt is counted: an hour's outage
    fails nothing, and one bad id does not block its device for ever.
    """

    def __init__(
        self, monotonic: Callable[[], float], first_s: float = 0.5, most_s: float = 5.0
    ) -> None:
        self._monotonic = monotonic
        self._first_s = first_s
        self._most_s = most_s
        self._seen: dict[str, _Seen] = {}
        self._changes: list[Change] = []

    @property
    def away(self) -> dict[str, float]:
        """The managers that are away now, each with the seconds since it is."""
        now = self._monotonic()
        return {
            name: now - seen.away_since
            for name, seen in self._seen.items()
            if seen.away_since is not None
        }

    @property
    def any_open(self) -> bool:
        """Whether a breaker is open: some manager is not asked now."""
        return any(seen.open_until is not None for seen in self._seen.values())

    async def ask(self, manager: Manager, subject: str, call: Awaitable[AnswerT]) -> AnswerT:
        """Await a call, and note how it went; a TransientError leaves with `at_fault` set.

        While the manager's breaker is open it is not asked at all.
        """
        seen = self._seen.setdefault(manager.name, _Seen(manager))
        seen.asked_at = self._monotonic()
        if seen.open_until is not None:
            if inspect.iscoroutine(call):
                call.close()
            raise TransientError(f"the {manager.name} is away", sent=False)
        before = _answers(manager)
        try:
            answer = await call
        except TransientError as error:
            seen.why = str(error)
            of_request = error.sent and error.status not in _NOT_OF_REQUEST
            error.at_fault = of_request and await self._alone(seen, subject)
            seen.bad.append((self._monotonic(), subject))
            if not error.at_fault:
                await self._note_failure(seen, subject)
            raise
        except PermanentError as error:
            if error.status is not None:  # a no is an answer, too, unless it is our own
                self._alive(seen)
            raise
        if before is None or _answers(manager) != before:
            self._note_answer(seen, subject)  # else it was kept from before: no sign of life
        return answer

    async def look(self) -> bool:
        """Probe managers whose breaker is open, when it is time; tell whether one answers again.

        One after the other a manager that hangs would delay the return of the others.
        """
        now = self._monotonic()
        known = list(self._seen.values())  # one more may be asked while these are probed
        for seen in known:
            if seen.open_until is None and now - seen.asked_at > FORGOTTEN_S:
                self._end(seen)
        due = [seen for seen in known if seen.open_until is not None and now >= seen.open_until]
        return any(await asyncio.gather(*(self._try_again(seen) for seen in due)))

    def changes(self, after_s: float) -> list[Change]:
        """Give what is to be announced: outages that last so long by now, and their ends. Once each."""
        now = self._monotonic()
        for seen in self._seen.values():
            since = seen.away_since
            if since is not None and not seen.told and now - since >= after_s:
                seen.told = True
                self._changes.append(_change(seen, now - since, away=True))
        changes, self._changes = self._changes, []
        return changes

    async def _try_again(self, seen: _Seen) -> bool:
        alive = await self._probe(seen)
        if seen.open_until is None:
            return True  # a call that was under way was answered meanwhile
        if alive:
            self._close(seen)
        else:
            self._open(seen)
        return alive

    def _note_answer(self, seen: _Seen, subject: str) -> None:
        seen.recent.append(True)
        seen.good.pop(subject, None)
        seen.good[subject] = self._monotonic()
        while len(seen.good) > _KEPT:
            del seen.good[next(iter(seen.good))]
        self._alive(seen)

    def _alive(self, seen: _Seen) -> None:
        self._close(seen)
        self._end(seen)

    @staticmethod
    def _close(seen: _Seen) -> None:
        seen.failures, seen.open_until = 0, None
        seen.subjects.clear()

    async def _note_failure(self, seen: _Seen, subject: str) -> None:
        seen.failures += 1
        seen.recent.append(False)
        seen.subjects.add(subject)
        mostly_bad = 2 * seen.recent.count(False) >= len(seen.recent)
        if seen.failures < OPENS_AT or not mostly_bad or seen.open_until is not None:
            return
        if len(seen.subjects) == 1 and await self._probe(seen):
            return
        if seen.failures < OPENS_AT or seen.open_until is not None:
            return  # others heard of it while it was probed
        if seen.away_since is None:
            seen.away_since, seen.number, seen.told = self._monotonic(), seen.number + 1, False
        self._open(seen)

    def _open(self, seen: _Seen) -> None:
        wait_s = back_off_ms(seen.opened, self._first_s, self._most_s) / 1000
        seen.opened += 1
        seen.open_until = self._monotonic() + wait_s

    def _end(self, seen: _Seen) -> None:
        if seen.away_since is None:
            return
        if seen.told:
            lasted_s = self._monotonic() - seen.away_since
            self._changes.append(_change(seen, lasted_s, away=False))
        seen.away_since, seen.opened, seen.told = None, 0, False

    async def _alone(self, seen: _Seen, subject: str) -> bool:
        since = max((at for at, who in seen.bad if who == subject), default=None)
        if since is None:
            return False  # its first failure: what others meet until the next one will tell
        if any(at > since for who, at in seen.good.items() if who != subject):
            return True
        if any(at > since for at, who in seen.bad if who != subject):
            return False
        return await self._probe(seen)

    async def _probe(self, seen: _Seen) -> bool:
        """Probe a manager; what it answered a moment ago counts, as a handler holds its slot."""
        at, alive = seen.probed
        if self._monotonic() - at > FRESH_S:
            alive = await seen.manager.probe()
            seen.probed = (self._monotonic(), alive)
        return alive


def _change(seen: _Seen, lasted_s: float, *, away: bool) -> Change:
    return Change(seen.manager.name, away, seen.number, lasted_s, seen.why if away else "")


def _answers(manager: Manager) -> int | None:
    """Count what a manager answered; None for a client that keeps no answers, and need not count."""
    answered: int | None = getattr(manager, "answered", None)
    return answered
