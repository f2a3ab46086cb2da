"""The login manager: a token for user and password (contract user-login-manager.openapi.json).

The password is read from its file for each login and kept nowhere. Neither it nor the token is in
any sentence, log line or repr.
"""

import asyncio
import hashlib
import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from managers.client import Manager, Question
from managers.tokens import Tokens
from models.errors import PermanentError, TransientError
from models.managers import LoginAnswer, login_form

log = logging.getLogger(__name__)

LOGIN_S: Final = 15.0
"""One login, whole. It takes a second or more there (a slow hash); nobody waits for it as long."""

PASSWORD_MOST: Final = 4096
REFUSED_FIRST_S: Final = 30.0
REFUSED_MOST_S: Final = 900.0
"""Six tries of a wrong password in the first quarter of an hour: no account is locked by that."""

_ASKED: Final = "for a token"
_ANSWER: Final = TypeAdapter(LoginAnswer)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,4096}")


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What was refused, hashed with a key of this process, and until when it is not tried again."""

    what: bytes = field(repr=False)
    until: float
    wait_s: float
    sentence: str
    status: int | None


class LoginManager(Manager):
    """Gives tokens; `tokens` is what the other managers' clients share."""

    name = "login manager"
    setting = "LOGIN_MANAGER_URI"
    health = ("/api/v1/userlogin/health/readiness",)

    def __init__(
        self,
        uri: str,
        *,
        user: str,
        password_file: Path,
        clock: Callable[[], float],
        ca_file: Path | None = None,
    ) -> None:
        super().__init__(uri, timeout_s=LOGIN_S, ca_file=ca_file)
        self._user = user
        self._password_file = password_file
        self._clock = clock
        self._hash_key = secrets.token_bytes(32)
        self._refusal: _Refusal | None = None
        self.tokens = Tokens(self.log_in, clock=clock)

    async def log_in(self) -> str:
        """Give a token. Raises TransientError: a login that goes wrong never fails a job.

        What the manager refused is not sent again for a while, 30 s at first and 15 min at most,
        unless the file holds another password by then.
        """
        password = await asyncio.to_thread(self._password)
        what = hashlib.blake2b(password, key=self._hash_key).digest()
        refusal = self._refusal if self._refusal and self._refusal.what == what else None
        if refusal is not None and self._clock() < refusal.until:
            raise TransientError(refusal.sentence, status=refusal.status)
        try:
            token = await self._token(login_form(self._user, password))
        except PermanentError as error:
            raise self._refused(what, refusal, str(error), error.status) from None
        except TransientError as error:
            if error.status not in {401, 403}:
                raise
            sentence = (
                f"the {self.name} refuses the user ({error.status}):"
                " check SCANHUB_USER and SCANHUB_PASSWORD_FILE"
            )
            raise self._refused(what, refusal, sentence, error.status) from None
        self._refusal = None
        return token

    async def close(self) -> None:
        """Stop a login that is under way, and close all connections."""
        await self.tokens.close()
        await super().close()

    async def _token(self, form: bytes) -> str:
        question = Question(
            method="POST",
            path="/api/v1/userlogin/login",
            asked=_ASKED,
            body=form,
            content_type="application/x-www-form-urlencoded",
        )
        answer = self._parse(_ANSWER, await self._ask(question), _ASKED)
        if answer.token_type.lower() != "bearer" or not _TOKEN.fullmatch(answer.access_token):
            raise TransientError(f"the {self.name} gives a token that is no bearer token")
        return answer.access_token

    def _refused(
        self, what: bytes, before: _Refusal | None, sentence: str, status: int | None
    ) -> TransientError:
        wait_s = min(2 * before.wait_s, REFUSED_MOST_S) if before else REFUSED_FIRST_S
        self._refusal = _Refusal(what, self._clock() + wait_s, wait_s, sentence, status)
        log.warning(
            "%s; tried again in %.0f s, or when the file's content changes", sentence, wait_s
        )
        return TransientError(sentence, status=status)

    def _password(self) -> bytes:
        try:
            with self._password_file.open("rb") as file:
                password = file.read(PASSWORD_MOST + 1).rstrip(b"\r\n")
        except OSError as error:
            raise TransientError(f"SCANHUB_PASSWORD_FILE can't be read: {error.strerror}") from None
        if not password or len(password) > PASSWORD_MOST:
            raise TransientError("SCANHUB_PASSWORD_FILE holds no password")
        return password
