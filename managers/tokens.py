"""One token for all clients: fetched when the first needs it, renewed by one login for all.

How a login is done is told from outside (managers/login.py); here is when. A token ends an hour
after its last use, and with a logout of the same user anywhere: nobody knows before a manager
answers 401.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from models.errors import TransientError

FRESH_S: Final = 60.0
"""A token that is refused earlier than this after its login is a bad sign: the next waits."""

PAUSE_FIRST_S: Final = 1.0
PAUSE_MOST_S: Final = 10.0

_TOO_SOON: Final = "the managers refuse a token that the login manager gave just now"


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and which login of this worker gave it: two logins may give the same text."""

    number: int
    text: str = field(repr=False)

    @property
    def header(self) -> dict[str, str]:
        """The header that a request carries it in."""
        return {"authorization": f"Bearer {self.text}"}


def _seen(task: asyncio.Task[Token]) -> None:
    # A login that nobody waits for any more may fail: without this the loop would log it.
    if not task.cancelled():
        task.exception()


class Tokens:
    """Keeps the token. `log_in` gives a token's text or raises TransientError; `clock` is monotonic.

    A login goes on when those who wait for it have no time left: whoever asks next has its token.
    After one that failed, or whose token was refused soon, the next one waits: 1 s, 2 s, … 10 s.
    """

    def __init__(self, log_in: Callable[[], Awaitable[str]], *, clock: Callable[[], float]) -> None:
        self._ask = log_in
        self._clock = clock
        self._kept: Token | None = None
        self._running: asyncio.Task[Token] | None = None
        self._logins = 0
        self._last_good = float("-inf")
        self._pause_s = 0.0
        self._not_before = float("-inf")
        self._failure = TransientError(_TOO_SOON, status=401)

    @property
    def kept(self) -> Token | None:
        """The token, if there is one; nothing is asked for it."""
        return self._kept

    async def get(self, deadline: float) -> Token:
        """Give the token; log in if there is none. `deadline` is by the loop's time.

        Raises TransientError with sent=False: the question that the token is for was not asked.
        """
        if self._kept is not None:
            return self._kept
        if self._running is None:
            if self._clock() < self._not_before:
                raise self._told(self._failure)
            self._running = asyncio.create_task(self._log_in())
            self._running.add_done_callback(_seen)
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(self._running)
        except TimeoutError:
            raise TransientError("the login manager did not answer in time", sent=False) from None
        except TransientError as error:
            # One of their own for each who waits: callers write into errors.
            raise self._told(error) from None

    async def renew(self, refused: Token, deadline: float) -> Token:
        """Give another token than the one that a manager refused; many at once make one login.

        Raises TransientError with sent=False.
        """
        if self._kept is not None and self._kept.number == refused.number:
            if self._clock() < self._not_before:
                raise TransientError(_TOO_SOON, sent=False, status=401)
            self._kept = None
        return await self.get(deadline)

    async def close(self) -> None:
        """Stop a login that is under way."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _log_in(self) -> Token:
        try:
            text = await self._ask()
        except TransientError as error:
            self._failure = error
            self._wait()
            raise
        finally:
            self._running = None
        now = self._clock()
        if now - self._last_good < FRESH_S:
            self._wait()
        else:
            self._pause_s = 0.0
        self._last_good = now
        self._logins += 1
        self._failure = TransientError(_TOO_SOON, status=401)
        self._kept = Token(self._logins, text)
        return self._kept

    def _wait(self) -> None:
        self._pause_s = min(max(PAUSE_FIRST_S, 2 * self._pause_s), PAUSE_MOST_S)
        self._not_before = self._clock() + self._pause_s

    @staticmethod
    def _told(error: TransientError) -> TransientError:
        return TransientError(str(error), sent=False, status=error.status)
