"""The table of performance-facts.md: what happened, what httpx says, whether a byte was sent."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from managers.transport import (
    TrueTransport,
    limits,
    phases,
    sent,
    tls_context,
    true_error,
    true_names,
)
from tests.unit.test_managers_servers import (
    Answer,
    Taken,
    drops,
    free_port,
    full_backlog,
    is_silent,
    resets,
    response,
    says,
    sends,
    serving,
)

DROPPED = (httpx.RemoteProtocolError, httpx.ReadError)
TIMEOUT_S = 0.5


class Exchanging(httpx.AsyncBaseTransport):
    """The way of a manager's questions, which makes neither requests nor answers of httpx."""

    def __init__(self) -> None:
        self._transport = TrueTransport(tls=tls_context(None), connections=1)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            async with asyncio.timeout(TIMEOUT_S):  # whoever asks limits the whole
                answer = await self._transport.exchange(
                    request.method,
                    str(request.url),
                    headers={},
                    body=request.content or None,
                    limits=limits(TIMEOUT_S),
                )
                with true_names:
                    body = await answer.read()
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time") from None
        return httpx.Response(answer.status, content=body)

    async def aclose(self) -> None:
        await self._transport.aclose()


def transport(kind: str) -> httpx.AsyncBaseTransport:
    """Make a transport that has one connection."""
    if kind == "exchange":
        return Exchanging()
    if kind == "aiohttp":
        return TrueTransport(tls=tls_context(None), connections=1)
    return httpx.AsyncHTTPTransport(
        trust_env=False, limits=httpx.Limits(max_connections=1, keepalive_expiry=60)
    )


@pytest.fixture(params=["httpx", "aiohttp", "exchange"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=transport(request.param), trust_env=False, timeout=phases(TIMEOUT_S)
    ) as made:
        yield made


async def _post(client: httpx.AsyncClient, uri: str) -> httpx.HTTPError:
    with pytest.raises(httpx.HTTPError) as caught:
        await client.post(uri, content=b"{}")
    return caught.value


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        pytest.param(drops, DROPPED, id="taken, then dropped"),
        pytest.param(resets, DROPPED, id="taken, then reset"),
        pytest.param(is_silent, (httpx.ReadTimeout,), id="taken, no answer in time"),
        pytest.param(sends(response(201, b"{", length=9)), DROPPED, id="half an answer"),
        pytest.param(sends(b"HTTP/1.1 20"), DROPPED, id="half a status line"),
        pytest.param(sends(b"SSH-2.0-x\r\n\r\n"), DROPPED, id="not HTTP"),
        pytest.param(sends(b"HTTP/1.1 200 X\r\nbad header\r\n\r\n"), DROPPED, id="bad header"),
    ],
)
async def test_what_was_taken_counts_as_sent(
    client: httpx.AsyncClient, answer: Answer, kinds: tuple[type[Exception], ...]
) -> None:
    async with serving(answer) as server:
        error = await _post(client, server.uri)
    assert isinstance(error, kinds)
    assert sent(error)
    assert len(server.taken) == 1


async def test_refused_is_not_sent(client: httpx.AsyncClient) -> None:
    error = await _post(client, f"http://127.0.0.1:{free_port()}")
    assert isinstance(error, httpx.ConnectError)
    assert not sent(error)


async def test_a_name_that_is_not_found_is_not_sent(client: httpx.AsyncClient) -> None:
    error = await _post(client, "http://nobody.invalid:80")
    assert isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    assert not sent(error)


async def test_a_connection_that_never_stands_is_not_sent(client: httpx.AsyncClient) -> None:
    with full_backlog() as port:
        error = await _post(client, f"http://127.0.0.1:{port}")
    assert isinstance(error, httpx.ConnectTimeout)
    assert not sent(error)


async def test_waiting_for_a_free_connection_is_not_sent(client: httpx.AsyncClient) -> None:
    taken = asyncio.Event()

    async def holds(_: Taken, __: asyncio.StreamWriter) -> None:
        taken.set()
        await asyncio.Event().wait()

    async with serving(holds) as server, asyncio.TaskGroup() as group:
        first = group.create_task(client.post(server.uri, content=b"1", timeout=None))
        await taken.wait()
        error = await _post(client, server.uri)
        first.cancel()
    assert isinstance(error, httpx.PoolTimeout | httpx.ConnectTimeout)
    assert not sent(error)
    assert [one.body for one in server.taken] == [b"1"]


async def test_tls_that_does_not_stand_is_not_sent(client: httpx.AsyncClient) -> None:
    async with serving(drops) as server:
        error = await _post(client, server.uri.replace("http:", "https:"))
    assert not sent(error)
    assert server.taken == []


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
async def test_one_call_is_one_request(client: httpx.AsyncClient, method: str) -> None:
    """aiohttp by itself asks all but POST a second time when a kept-alive connection drops."""

    async def good_then_drops(_: Taken, writer: asyncio.StreamWriter) -> None:
        if len(server.taken) == 1:
            writer.write(response(200, b"{}"))
        else:
            writer.close()

    async with serving(good_then_drops) as server:
        assert (await client.request(method, server.uri)).status_code == 200
        with pytest.raises(DROPPED) as caught:
            await client.request(method, server.uri)
    assert sent(caught.value)
    assert len(server.taken) == 2
    assert server.connections == 1, "the second request went over the kept-alive connection"


async def test_no_cookie_and_no_proxy(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with serving(says(200, {})) as server:
        assert (await client.get(server.uri)).status_code == 200


@pytest.mark.parametrize("kind", ["aiohttp", "exchange"])
async def test_aiohttp_keeps_no_cookies(kind: str) -> None:
    async with (
        serving(says(200, {}, more="set-cookie: a=b\r\n")) as server,
        transport(kind) as asking,
    ):
        # By name: aiohttp's own jar keeps no cookie of an IP address anyway.
        uri = f"http://localhost:{server.port}"
        for _ in range(2):
            reply = await asking.handle_async_request(httpx.Request("GET", uri))
            await reply.aread()
            await reply.aclose()
    assert "cookie" not in server.taken[1].headers


async def test_what_was_not_read_of_an_answer_is_not_the_next_one() -> None:
    async def much(_: Taken, writer: asyncio.StreamWriter) -> None:
        writer.write(response(200, b"7" * (1 << 20 if len(server.taken) == 1 else 2)))

    asking = TrueTransport(tls=tls_context(None), connections=1)
    async with serving(much) as server, asking:
        for read in (False, True):
            answer = await asking.exchange(
                "POST", server.uri, headers={}, body=b"{}", limits=limits(TIMEOUT_S)
            )
            if read:
                assert await answer.read() == b"77"
            answer.release()
    assert server.connections == 2


@given(text=st.text(max_size=20))
def test_no_text_of_aiohttp_gets_through(text: str) -> None:
    for error in (aiohttp.ClientOSError(f"{text}~"), aiohttp.ServerDisconnectedError(f"{text}~")):
        assert "~" not in str(true_error(error))


def test_unknown_kinds_count_as_sent() -> None:
    assert sent(true_error(aiohttp.ClientError()))
    assert sent(httpx.TransportError("?"))
    assert not sent(true_error(aiohttp.InvalidURL("x")))
