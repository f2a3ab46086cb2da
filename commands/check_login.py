"""Whether a login works, with user and password as a worker would use them.

One try, and nothing of it is shown or kept. No logout: it would end the workers' token as well.
"""

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx
from pydantic import ValidationError

from commands.check import Check, good, wrong
from models.managers import LoginAnswer, login_form
from settings import Settings

LOGIN_S: Final = 10.0
"""It takes a second or more there: the password's hash is a slow one."""

PASSWORD_MOST: Final = 4096
_PATH: Final = "/api/v1/userlogin/login"
_WHAT: Final = "login"


class _NoTokenError(Exception):
    """Why there is none; a sentence that is safe to show."""


async def log_in(
    client: httpx.AsyncClient, settings: Settings, most: int
) -> tuple[Check | None, str | None]:
    """Log in; give what there is to say, and the token. Neither where no login is set.

    An answer above `most` bytes is not read.
    """
    file = settings.password_file
    if not settings.login_manager_uri or not settings.user or file is None:
        return None, None  # check_settings tells what is missing
    try:
        password = await asyncio.to_thread(_password, file)
        async with asyncio.timeout(LOGIN_S):
            token = await _token(client, settings, login_form(settings.user, password), most)
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL):
        return wrong(_WHAT, "no answer from the login manager"), None
    except _NoTokenError as error:
        return wrong(_WHAT, str(error)), None
    return good(_WHAT, "SCANHUB_USER gets a token"), token


async def _token(client: httpx.AsyncClient, settings: Settings, form: bytes, most: int) -> str:
    status, body = await _post(client, settings, form, most)
    if status == HTTPStatus.UNAUTHORIZED:
        raise _NoTokenError("the login manager does not take SCANHUB_USER with this password (401)")
    if status != HTTPStatus.OK:
        raise _NoTokenError(f"the login manager answers HTTP {status}: is it the right address?")
    try:
        token = LoginAnswer.from_bytes(body).access_token
    except ValidationError:
        token = ""
    if not token or not token.isascii() or not token.isprintable():
        raise _NoTokenError("the login manager's answer holds no token")
    return token


async def _post(
    client: httpx.AsyncClient, settings: Settings, form: bytes, most: int
) -> tuple[int, bytes]:
    async with client.stream(
        "POST",
        settings.login_manager_uri + _PATH,
        content=form,
        headers={"content-type": "application/x-www-form-urlencoded"},
        timeout=LOGIN_S,
    ) as response:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > most:
                break
        return response.status_code, bytes(body)


def _password(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(PASSWORD_MOST).rstrip(b"\r\n")
    except OSError:
        raise _NoTokenError("not tried: SCANHUB_PASSWORD_FILE can't be read") from None
