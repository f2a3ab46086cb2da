"""How managers are reached: aiohttp's speed behind httpx, with errors under their right names.

httpx-aiohttp 0.2.0 calls a dropped connection a `ConnectTimeout`. Who believes that nothing was
sent makes a second record (test_managers_transport.py shows each row). So errors are named here,
and `sent` is the one place that says which of them mean that nothing was sent.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

KEEP_ALIVE_S: Final = 2.0
"""Shorter than the 5 s of uvicorn, so that we and not the manager close an idle connection."""

CONNECT_MOST_S: Final = 2.0
CONNECT_SHARE: Final = 0.4
"""Of the whole attempt: its limit can strike only after the time for connecting is over."""

_REPEATED: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods that aiohttp asks a second time by itself, if a connection drops."""
_NOTHING_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)


def sent(error: httpx.HTTPError) -> bool:
    """Tell whether a byte of the request may have reached the other side.

    Holds for httpx's own transport and for `TrueTransport`, not for httpx-aiohttp's by itself.
    Unknown kinds count as sent: asking once too often is cheap, a second scan is not.
    """
    return not isinstance(error, _NOTHING_SENT)


def dropped(error: httpx.HTTPError) -> bool:
    """Tell whether the other side broke the connection off after it stood."""
    return isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)


# The first that fits; kinds that nothing here knows become a ReadError, which counts as sent.
# The texts are ours: those of aiohttp hold whole addresses, which end up in logs.
_TRUE_NAMES: Final[tuple[tuple[type[Exception], type[httpx.TransportError], str], ...]] = (
    (aiohttp.ClientConnectorError, httpx.ConnectError, "no connection"),
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout, "no connection in time"),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol, "not an address that can be asked"),
    (aiohttp.NonHttpUrlClientError, httpx.UnsupportedProtocol, "neither http nor https"),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout, "no answer in time"),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError, "broken off before an answer"),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError, "broken off within an answer"),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError, "not an HTTP answer"),
)


def true_error(error: Exception) -> httpx.TransportError:
    """Give the httpx error that says what happened; `error` is aiohttp's, or an OSError."""
    for kind, true, text in _TRUE_NAMES:
        if isinstance(error, kind):
            return true(text)
    return httpx.ReadError("the connection failed")


class _TrueNames:
    """Gives errors their right names; holds nothing, so one serves all (three for each request)."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise an error of aiohttp's, or of the system, as httpx's that says what happened."""
        if isinstance(error, httpx.TransportError):
            error = error.__cause__
        if isinstance(error, aiohttp.ClientError | OSError):
            raise true_error(error) from error


true_names: Final = _TrueNames()


async def _one_attempt(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Turn errors into httpx's within aiohttp, where they are out of reach of its own repeats.

    aiohttp asks GET, PUT and DELETE a second time when a connection drops; with this, one call is
    one request whatever its method (test_one_call_is_one_request), and repeats are ours alone.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        raise true_error(error) from error


class _TrueStream(httpx.AsyncByteStream):
    """An answer's body whose errors have their right names."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with true_names:
            async for chunk in self._stream:
                yield chunk

    async def aclose(self) -> None:
        with true_names:
            await self._stream.aclose()


class TrueTransport(httpx.AsyncBaseTransport):
    """httpx-aiohttp's transport, with the right errors and without repeats, cookies and proxies."""

    def __init__(self, *, tls: ssl.SSLContext, connections: int) -> None:
        self._tls = tls
        self._connections = connections
        self._inner = AiohttpTransport(verify=tls, trust_env=False, client=self._session)
        self._opened: aiohttp.ClientSession | None = None

    def _session(self) -> aiohttp.ClientSession:
        # Made at the first request: a session belongs to the loop that it is made in.
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=self._tls, limit=self._connections, keepalive_timeout=KEEP_ALIVE_S
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_one_attempt,),
                trust_env=False,
            )
        return self._opened

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Send once, on the same connections; the caller reads the answer and releases it.

        Without httpx's requests and answers, which cost as much as the call itself
        (`python -m bench.floor`). Raises httpx.TransportError; reading is to be done under
        `true_names`, too.
        """
        # What aiohttp sends once in any case needs no middleware to see to that; None: the session's.
        middlewares = None if method in _REPEATED else ()
        with true_names:
            return await self._session().request(
                method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                auto_decompress=False,
                timeout=limits,
                middlewares=middlewares,
            )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send once. Raises httpx.TransportError under its right name."""
        with true_names:
            response = await self._inner.handle_async_request(request)
        stream = response.stream
        if isinstance(stream, httpx.AsyncByteStream):
            response.stream = _TrueStream(stream)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()
        if self._opened is not None:
            await self._opened.close()


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Give the context for `https://`: certifi's roots, or only those in `ca_file`.

    The environment (SSL_CERT_FILE) is not read. Costs 20 ms: once for each client. Raises OSError
    when the file can't be read, ssl.SSLError when it holds no certificate.
    """
    if ca_file is None:
        return httpx.create_ssl_context(verify=True, trust_env=False)
    return ssl.create_default_context(cafile=str(ca_file))


def connect_s(timeout_s: float) -> float:
    """Give the time for connecting within one attempt of `timeout_s`."""
    return min(CONNECT_MOST_S, CONNECT_SHARE * timeout_s)


def limits(timeout_s: float) -> aiohttp.ClientTimeout:
    """Give the limits of an exchange, as `phases` does: of connecting only."""
    first = connect_s(timeout_s)
    return aiohttp.ClientTimeout(total=None, connect=first, sock_connect=first)


def phases(timeout_s: float, connect: float | None = None) -> httpx.Timeout:
    """Give the limits of each phase; the whole attempt is limited by who asks (asyncio.timeout)."""
    first = connect_s(timeout_s) if connect is None else connect
    return httpx.Timeout(timeout_s, connect=first, pool=first)


def no_cookies() -> CookieJar:
    """Give a jar that keeps nothing: what one answer sets must not travel with another request."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
