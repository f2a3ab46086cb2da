"""What the managers have in common: one client each, one question at a time, errors sorted.

A question holds its caller for `timeout_s` at most, whatever the other side does. The sentences of
errors name the manager, what it was asked for, and the status; they never hold an answer's text,
an address or an id (promise 8).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import aiohttp
import httpx
import orjson
import stamina
from pydantic import TypeAdapter, ValidationError

from managers.tokens import Token, Tokens
from managers.transport import (
    TrueTransport,
    dropped,
    limits,
    no_cookies,
    phases,
    sent,
    tls_context,
    true_names,
)
from models.base import explain
from models.errors import PermanentError, TransientError

T = TypeVar("T")

SMALL: Final = 256 * 1024
"""Bytes of an answer that holds one object; comments and paths are all it can hold."""

CONNECTIONS: Final = 100
"""For each manager: as many as messages are worked on at once (SCANHUB_IN_FLIGHT)."""

PROBE_S: Final = 2.0

ACCEPTS: Final = {"accept": "application/json", "accept-encoding": "identity"}
"""Nothing compressed: a few bytes would unfold to more than any bound."""
JSON: Final = "application/json"

_PATIENCE: Final = frozenset({408, 425, 429})
_MOMENTARY: Final = frozenset({502, 503})
_NO_TOKEN: Final = frozenset({401, 403})

# One repeat, at most 0.3 s later, both within the one limit of the whole question. `timeout=None`:
# that limit is asyncio's, which stops an attempt too, not only the wait between two.
_again = stamina.AsyncRetryingCaller(
    attempts=2, timeout=None, wait_initial=0.1, wait_max=0.3, wait_jitter=0.1
)


class OversizeError(TransientError):
    """The answer is larger than what was asked for can be; `size` if the manager told it."""

    def __init__(self, sentence: str, *, status: int, size: int | None) -> None:
        super().__init__(sentence, status=status)
        self.size = size


def _worth_another(error: Exception) -> bool:
    """Only a connection that never stood, or was dropped, or a manager that is busy for a moment.

    Not a time-out of the answer.
    """
    if isinstance(error, TransientError):
        return error.status in _MOMENTARY
    return isinstance(error, httpx.HTTPError) and (not sent(error) or dropped(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request to a manager.

    `asked` ends the sentences of errors ("... when asked for a device's address"); `says` holds
    what a status that will not change means here; `most` are the bytes that an answer may have.
    """

    method: str
    path: str
    asked: str
    body: bytes | None = field(default=None, repr=False)
    content_type: str = JSON
    most: int = SMALL
    good: frozenset[int] = frozenset({200})
    says: Mapping[int, str] = field(default_factory=dict)


class Manager:
    """A manager that is asked over HTTP; subclasses name it and know its questions.

    An empty `uri` makes every question a TransientError: jobs wait for the setting, none fails.
    With `tokens` each question carries the token that all clients share.
    """

    name: str
    setting: str
    health: tuple[str, ...]
    answered: int = 0
    """How many questions the manager answered well; what is given from a cache does not count."""

    def __init__(
        self,
        uri: str,
        *,
        timeout_s: float = 5.0,
        ca_file: Path | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._uri = uri
        self._timeout_s = timeout_s
        self._tokens = tokens
        self._transport = TrueTransport(tls=tls_context(ca_file), connections=CONNECTIONS)
        self._limits = limits(timeout_s)
        self._client = httpx.AsyncClient(
            transport=self._transport,
            trust_env=False,
            follow_redirects=False,
            timeout=phases(timeout_s),
            cookies=no_cookies(),
            headers=ACCEPTS,
        )

    async def probe(self) -> bool:
        """Tell whether the manager is alive: it answers, with anything but a 5xx, within 2 s.

        401 and 404 are signs of life: nobody logs in for this. Raises nothing but a cancellation.
        """
        if not self._uri:
            return False
        token = self._tokens.kept if self._tokens is not None else None
        try:
            async with asyncio.timeout(min(PROBE_S, self._timeout_s)):
                for path in self.health:
                    async with self._client.stream(
                        "GET", self._uri + path, headers=token.header if token else None
                    ) as response:
                        if response.is_server_error:
                            return False
        except (TimeoutError, httpx.HTTPError):
            return False
        return True

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _ask(self, question: Question) -> bytes:
        """Ask once (GET: twice, where the first found or kept no connection); give the body.

        A 401 renews the token, and any question is asked once more: nothing was done before. Raises
        TransientError, PermanentError; OversizeError beyond the question's bound.
        """
        if not self._uri:
            raise TransientError(f"no {self.name} is set: set {self.setting}", sent=False)
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        if self._tokens is None:
            return await self._once(question, deadline)
        token = await self._tokens.get(deadline)
        try:
            return await self._once(question, deadline, token)
        except TransientError as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
        token = await self._tokens.renew(token, deadline)
        return await self._once(question, deadline, token)

    async def _once(self, question: Question, deadline: float, token: Token | None = None) -> bytes:
        async def attempt() -> bytes:
            return await self._attempt(question, token)

        try:
            async with asyncio.timeout_at(deadline):
                if question.method == "GET":
                    return await _again(_worth_another, attempt)
                return await attempt()
        except (TimeoutError, httpx.HTTPError) as error:
            # The limit of the whole strikes after the time for connecting is over: sent.
            began = sent(error) if isinstance(error, httpx.HTTPError) else True
            if isinstance(error, TimeoutError | httpx.TimeoutException):
                what = "did not answer in time" if began else "takes no connection in time"
            else:
                what = "broke the connection off" if began else "cannot be reached"
            sentence = f"the {self.name} {what} when asked {question.asked}"
            raise TransientError(sentence, sent=began) from error

    async def _attempt(self, question: Question, token: Token | None) -> bytes:
        headers = ACCEPTS
        if question.body is not None:
            headers = ACCEPTS | {"content-type": question.content_type}
        response = await self._transport.exchange(
            question.method,
            self._uri + question.path,
            headers=headers if token is None else {**headers, **token.header},
            body=question.body,
            limits=self._limits,
        )
        try:
            if response.status not in question.good:
                self._refuse(response.status, question, token)
            body = await self._read(response, question)
        finally:
            response.release()  # one that is not read to its end takes its connection with it
        self.answered += 1
        return body

    async def _read(self, response: aiohttp.ClientResponse, question: Question) -> bytes:
        status, asked, most = response.status, question.asked, question.most
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise TransientError(
                f"the {self.name} compresses its answer, unasked, when asked {asked}", status=status
            )
        told = response.headers.get("content-length", "")
        size = int(told) if told.isdecimal() else None
        taken = bytearray()
        if size is None or size <= most:
            with true_names:
                async for chunk in response.content.iter_any():
                    taken += chunk
                    if len(taken) > most:
                        break
                else:
                    return bytes(taken)
        raise OversizeError(
            f"the {self.name} answers with more than {most} bytes when asked {asked}",
            status=status,
            size=size,
        )

    def _refuse(self, status: int, question: Question, token: Token | None) -> NoReturn:
        who, asked = f"the {self.name}", question.asked
        if status in question.says:
            raise PermanentError(f"{who} {question.says[status]} ({status})", status=status)
        if status in _NO_TOKEN:
            # Transient: no job fails because of a setting that a person can put right.
            what = "wants a valid token" if token is None else "refuses the token"
            raise TransientError(f"{who} {what} ({status}) when asked {asked}", status=status)
        if status in _PATIENCE:
            raise TransientError(f"{who} is too busy ({status}) when asked {asked}", status=status)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TransientError(f"{who} failed ({status}) when asked {asked}", status=status)
        if status >= HTTPStatus.BAD_REQUEST:
            raise PermanentError(f"{who} refused ({status}) when asked {asked}", status=status)
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise PermanentError(
                f"{who} redirects ({status}) when asked {asked}; redirects are never followed:"
                f" check {self.setting}",
                status=status,
            )
        raise TransientError(
            f"{who} gave an unexpected answer ({status}) when asked {asked}", status=status
        )

    def _parse(self, kind: TypeAdapter[T], raw: bytes, asked: str) -> T:
        """Read an answer strictly (RFC 8259, UTF-8; no NaN). A wrong shape is a TransientError.

        It is the manager's fault, and no sign that the job is wrong.
        """
        try:
            return kind.validate_python(orjson.loads(raw))
        except orjson.JSONDecodeError:
            # `from None`: the error carries the answer's text.
            raise TransientError(
                f"the {self.name}'s answer is not JSON when asked {asked}"
            ) from None
        except ValidationError as error:
            raise TransientError(
                f"the {self.name}'s answer has a wrong shape ({explain(error)}) when asked {asked}"
            ) from None
