"""The table of a device's answers to START (promise 2), each row against a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from managers import Address, Scanner
from managers.scanner import _sendable
from models.errors import PermanentError, TransientError
from tests.unit.test_managers_servers import (
    Answer,
    Server,
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

BODY = b'{"record_id": 1}'


@asynccontextmanager
async def _device(
    answer: Answer, timeout_s: float = 2
) -> AsyncIterator[tuple[Scanner, Address, Server]]:
    async with serving(answer) as server:
        scanner = Scanner("/api/start-scan", timeout_s=timeout_s)
        try:
            yield scanner, Address("127.0.0.1", server.port), server
        finally:
            await scanner.close()


async def test_200_is_started() -> None:
    async with _device(says(200, {"message": "ok"})) as (scanner, address, server):
        await scanner.post_device_task(
            address, BODY, headers={"Fencing-Token": "7", "request-id": "r"}
        )
    (taken,) = server.taken
    assert (taken.method, taken.target, taken.body) == ("POST", "/api/start-scan", BODY)
    assert taken.headers["host"] == address.netloc
    assert taken.headers["content-type"] == "application/json"
    assert (taken.headers["fencing-token"], taken.headers["request-id"]) == ("7", "r")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(response(200, b"{", length=100), id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="no body"),
        pytest.param(response(200, b"no JSON"), id="not JSON"),
        pytest.param(response(200, b"x" * 10_000_000), id="far too much"),
    ],
)
async def test_the_status_alone_says_started(raw: bytes) -> None:
    async with _device(sends(raw)) as (scanner, address, _):
        await scanner.post_device_task(address, BODY, headers={})


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_3xx_is_not_started_and_not_followed(status: int) -> None:
    async with serving(says(200)) as other:
        more = f"location: {other.uri}/\r\n"
        async with _device(says(status, more=more)) as (scanner, address, server):
            with pytest.raises(PermanentError, match=f"redirects \\({status}\\)") as caught:
                await scanner.post_device_task(address, BODY, headers={})
        assert other.taken == []
    assert caught.value.status == status
    assert len(server.taken) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 405, 408, 413, 422, 429, 499])
async def test_4xx_is_not_started(status: int) -> None:
    async with _device(says(status, {"detail": "Erika"})) as (scanner, address, server):
        with pytest.raises(PermanentError) as caught:
            await scanner.post_device_task(address, BODY, headers={})
    assert str(caught.value) == f"the device refused the order ({status})"
    assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        *(pytest.param(says(status), status, id=str(status)) for status in (201, 202, 204, 206)),
        *(pytest.param(says(status), status, id=str(status)) for status in (500, 502, 503, 599)),
        pytest.param(is_silent, None, id="never answers"),
        pytest.param(drops, None, id="dropped"),
        pytest.param(resets, None, id="reset"),
        pytest.param(sends(b"HTTP/1.1 2"), None, id="half a status"),
        pytest.param(sends(b"hello\r\n\r\n"), None, id="not HTTP"),
        pytest.param(sends(b"HTTP/1.1 101 X\r\n\r\n"), None, id="another protocol"),
    ],
)
async def test_nobody_knows_whether_it_started(answer: Answer, status: int | None) -> None:
    async with _device(answer, timeout_s=0.4) as (scanner, address, server):
        with pytest.raises(TransientError, match="not known") as caught:
            await scanner.post_device_task(address, BODY, headers={})
    assert caught.value.sent
    assert caught.value.status == status
    assert len(server.taken) == 1, "never sent again"


async def test_a_device_that_closes_after_reading_half_may_have_started() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    scanner = Scanner("/api/start-scan", timeout_s=2)
    async with server:
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(TransientError) as caught:
            await scanner.post_device_task(address, b"x" * 1_000_000, headers={})
    await scanner.close()
    assert caught.value.sent


async def test_a_device_that_never_reads_is_left_in_time() -> None:
    gone = asyncio.Event()

    async def never_reads(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined] # a TCP transport has it
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(never_reads, "127.0.0.1", 0)
    scanner = Scanner("/api/start-scan", timeout_s=0.4)
    loop = asyncio.get_running_loop()
    async with server:
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        began = loop.time()
        with pytest.raises(TransientError) as caught:
            await scanner.post_device_task(address, b"x" * 16_000_000, headers={})
        assert loop.time() - began < 1.5
        gone.set()
    await scanner.close()
    assert caught.value.sent


async def test_no_byte_was_sent_where_nobody_listens() -> None:
    scanner = Scanner("/api/start-scan")
    with pytest.raises(TransientError, match="no connection") as caught:
        await scanner.post_device_task(Address("127.0.0.1", free_port()), BODY, headers={})
    assert not caught.value.sent
    await scanner.close()


async def test_no_byte_was_sent_to_a_name_that_is_not_found() -> None:
    scanner = Scanner("/api/start-scan")
    with pytest.raises(TransientError, match="not found") as caught:
        await scanner.post_device_task(Address("nobody.invalid", 80), BODY, headers={})
    assert not caught.value.sent
    await scanner.close()


async def test_no_byte_was_sent_where_no_route_leads() -> None:
    """Addresses for multicast take no TCP connection: the kernel refuses at once."""
    scanner = Scanner("/api/start-scan")
    with pytest.raises(TransientError, match="no connection") as caught:
        await scanner.post_device_task(Address("224.0.0.1", 80), BODY, headers={})
    assert not caught.value.sent
    await scanner.close()


async def test_no_byte_was_sent_where_connecting_takes_too_long() -> None:
    scanner = Scanner("/api/start-scan", timeout_s=0.5)
    with (
        full_backlog() as port,
        pytest.raises(TransientError, match="takes no connection") as caught,
    ):
        await scanner.post_device_task(Address("127.0.0.1", port), BODY, headers={})
    assert not caught.value.sent
    await scanner.close()


async def test_sixteen_megabytes_pass() -> None:
    body = b"x" * (16 * 1024 * 1024)
    async with _device(says(200), timeout_s=5) as (scanner, address, server):
        await scanner.post_device_task(address, body, headers={})
    assert server.taken[0].body == body


async def test_each_order_has_a_connection_of_its_own() -> None:
    async with _device(says(200, more="set-cookie: a=b\r\n")) as (scanner, address, server):
        for _ in range(3):
            await scanner.post_device_task(address, BODY, headers={})
    assert server.connections == 3
    assert all("cookie" not in taken.headers for taken in server.taken)
    assert server.taken[0].headers["connection"] == "close"


async def test_a_name_is_asked_at_the_address_that_was_checked() -> None:
    async with serving(says(200)) as server:
        address = Address("localhost", server.port)
        inside = Scanner("/x", networks=(ip_network("127.0.0.0/8"),))
        await inside.post_device_task(address, BODY, headers={})
        assert server.taken[0].headers["host"] == f"localhost:{server.port}"
        await inside.close()
        outside = Scanner("/x", networks=(ip_network("10.0.0.0/8"),))
        for one in (address, Address("127.0.0.1", server.port)):
            with pytest.raises(PermanentError, match="SCANHUB_DEVICE_NETWORKS"):
                await outside.post_device_task(one, BODY, headers={})
        await outside.close()
        assert len(server.taken) == 1


async def _post_to_both(first: int, second: int) -> int:
    """Post as to a name with two addresses, here two ports; give the status."""
    scanner = Scanner("/x", timeout_s=2)
    requests = [
        scanner._client.build_request("POST", f"http://127.0.0.1:{port}/x", content=BODY)
        for port in (first, second)
    ]
    try:
        return await scanner._first_that_takes(requests, asyncio.get_running_loop().time() + 2)
    finally:
        await scanner.close()


async def test_another_address_of_a_name_is_tried_only_while_nothing_was_sent() -> None:
    async with serving(says(200)) as good, serving(drops) as bad:
        assert await _post_to_both(free_port(), good.port) == 200
        assert len(good.taken) == 1
        with pytest.raises(TransientError) as caught:
            await _post_to_both(bad.port, good.port)
        assert caught.value.sent
        assert (len(bad.taken), len(good.taken)) == (1, 1), "no second START at the other address"
        with pytest.raises(TransientError) as caught:
            await _post_to_both(free_port(), free_port())
        assert not caught.value.sent


async def test_a_slow_drip_ends_with_the_whole_attempt() -> None:
    """Each byte of the head comes well within any limit of a single read."""

    async def drips(_: Taken, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not writer.is_closing():
            writer.write(b"y")
            await writer.drain()
            await asyncio.sleep(0.01)

    loop = asyncio.get_running_loop()
    async with _device(drips, timeout_s=0.4) as (scanner, address, server):
        began = loop.time()
        with pytest.raises(TransientError, match="in time") as caught:
            await scanner.post_device_task(address, BODY, headers={})
        assert loop.time() - began < 1.5
    assert caught.value.sent
    assert len(server.taken) == 1


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with _device(says(200)) as (scanner, address, server):
        await scanner.post_device_task(address, BODY, headers={})
    assert len(server.taken) == 1


async def test_a_senders_odd_header_fails_no_scan() -> None:
    odd = {"traceparent": "a\r\nx: y", "tracestate": "ä", "b c": "d", "request-id": "r", "e": ""}
    async with _device(says(200)) as (scanner, address, server):
        await scanner.post_device_task(address, BODY, headers=odd | {"Host": "elsewhere"})
    taken = server.taken[0].headers
    assert taken["request-id"] == "r"
    assert taken["host"] == address.netloc
    assert not {"traceparent", "tracestate", "x", "b c"} & taken.keys()


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=20), max_size=5))
def test_headers_that_are_sent_are_plain(headers: dict[str, str]) -> None:
    for name, value in _sendable(headers).items():
        assert name.isascii()
        assert value.isascii()
        assert not set(name + value) & set("\r\n\0")
