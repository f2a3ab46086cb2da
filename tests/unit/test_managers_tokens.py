"""When a login is made: one for all, and never in haste."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from managers.tokens import FRESH_S, PAUSE_MOST_S, Token, Tokens
from models.errors import TransientError

SECRET = "aa1f19b5"


@dataclass
class Door:
    """Gives tokens when it is opened; fails while `error` is set."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    calls: int = 0
    error: TransientError | None = None
    now: float = 1000.0

    async def log_in(self) -> str:
        self.calls += 1
        await self.opened.wait()
        if self.error is not None:
            raise self.error
        return SECRET


def _tokens(*, opened: bool = True) -> tuple[Tokens, Door]:
    door = Door()
    if opened:
        door.opened.set()
    return Tokens(door.log_in, clock=lambda: door.now), door


def _soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def _all_wait(calls: list[Awaitable[Token]]) -> list[asyncio.Task[Token]]:
    tasks = [asyncio.ensure_future(call) for call in calls]
    for _ in range(3):  # rounds of the loop: all reach the login
        await asyncio.sleep(0)
    return [task for task in tasks if isinstance(task, asyncio.Task)]


async def test_many_who_need_a_token_make_one_login() -> None:
    tokens, door = _tokens(opened=False)
    waiting = await _all_wait([tokens.get(_soon()) for _ in range(100)])
    door.opened.set()
    given = await asyncio.gather(*waiting)
    assert door.calls == 1
    assert given == [Token(1, SECRET)] * 100
    assert await tokens.get(_soon()) == tokens.kept == given[0]
    assert door.calls == 1


async def test_many_whose_token_was_refused_make_one_login() -> None:
    tokens, door = _tokens()
    old = await tokens.get(_soon())
    door.opened.clear()
    waiting = await _all_wait([tokens.renew(old, _soon()) for _ in range(100)])
    door.opened.set()
    assert {token.number for token in await asyncio.gather(*waiting)} == {2}
    late = await tokens.renew(old, _soon())
    assert (late.number, door.calls) == (2, 2), "a 401 that comes late has the new one at once"


async def test_a_login_that_fails_tells_each_who_waits() -> None:
    tokens, door = _tokens(opened=False)
    door.error = TransientError("the login manager failed (503)", status=503)
    waiting = await _all_wait([tokens.get(_soon()) for _ in range(5)])
    door.opened.set()
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert len({id(error) for error in errors}) == 5, "callers write into errors"
    for error in errors:
        assert isinstance(error, TransientError)
        assert (str(error), error.sent, error.status) == (
            "the login manager failed (503)",
            False,
            503,
        )
    assert door.calls == 1


async def test_after_a_failure_the_next_login_waits_longer_and_longer() -> None:
    tokens, door = _tokens()
    door.error = TransientError("no")
    waits = []
    for _ in range(6):
        with pytest.raises(TransientError, match="no"):
            await tokens.get(_soon())
        failed, calls = door.now, door.calls
        while door.calls == calls:
            door.now += 0.5
            with pytest.raises(TransientError, match="no"):
                await tokens.get(_soon())
        waits.append(door.now - failed)
        door.now += PAUSE_MOST_S
    assert waits == [1.0, 4.0, 10.0, 10.0, 10.0, 10.0]  # each second try fails as well
    door.error = None
    assert (await tokens.get(_soon())).text == SECRET


async def test_a_token_that_is_refused_at_once_again_and_again_slows_the_logins() -> None:
    tokens, door = _tokens()
    for _ in range(1000):
        token = await tokens.get(_soon())
        with suppress(TransientError):
            await tokens.renew(token, _soon())
        door.now += 0.1
    with pytest.raises(TransientError, match="just now") as caught:
        await tokens.renew(await tokens.get(_soon()), _soon())
    assert (caught.value.sent, caught.value.status) == (False, 401)
    assert door.calls < 16  # in 100 s

    calls = door.calls
    door.now += FRESH_S
    await tokens.renew(await tokens.get(_soon()), _soon())
    assert door.calls == calls + 1
    await tokens.renew(await tokens.get(_soon()), _soon())
    assert door.calls == calls + 2, "one that lived for a while is renewed at once"
    door.now += 1
    await tokens.renew(await tokens.get(_soon()), _soon())
    assert door.calls == calls + 3, "and the pauses begin anew"


async def test_who_has_no_time_left_goes_and_the_login_goes_on() -> None:
    tokens, door = _tokens(opened=False)
    with pytest.raises(TransientError, match="did not answer in time") as caught:
        await asyncio.wait_for(tokens.get(_soon(0.01)), 5)
    assert not caught.value.sent
    (waiting,) = await _all_wait([tokens.get(_soon())])
    waiting.cancel()
    await asyncio.wait([waiting])
    assert tokens.kept is None
    (other,) = await _all_wait([tokens.get(_soon())])
    door.opened.set()
    assert (await other).text == SECRET
    assert door.calls == 1


async def test_a_login_under_way_is_stopped_with_the_client() -> None:
    tokens, _ = _tokens(opened=False)
    (waiting,) = await _all_wait([tokens.get(_soon())])
    await tokens.close()
    assert waiting.cancelled()
    await _tokens()[0].close()


@pytest.mark.parametrize("show", [repr, str])
async def test_a_token_does_not_show_itself(show: Callable[[object], str]) -> None:
    tokens, _ = _tokens()
    token = await tokens.get(_soon())
    assert SECRET not in show(token) + show(tokens)
    assert token.header == {"authorization": f"Bearer {SECRET}"}
