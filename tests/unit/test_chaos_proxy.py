"""The proxy between a worker and its broker: passes, cuts, stalls, delays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from sandbox.chaos.proxy import Proxy, Remote

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Streams]:
    """A client's connection; closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(100):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Remote, int]]:
    """An echo server behind a proxy: the proxy's remote control, and its port."""
    echo = await asyncio.start_server(_echo, "127.0.0.1", 0)
    proxy = Proxy(_port(echo))
    clients = await asyncio.start_server(proxy.client, "127.0.0.1", 0)
    control = await asyncio.start_server(proxy.control, "127.0.0.1", 0)
    try:
        yield Remote(_port(control)), _port(clients)
    finally:
        proxy.set("cut")
        for server in (clients, control, echo):
            server.close()


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def _say(streams: Streams, text: bytes, limit_s: float = 5) -> bytes:
    reader, writer = streams
    writer.write(text)
    async with asyncio.timeout(limit_s):
        return await reader.read(100)


async def test_it_passes_what_is_said_on_both_ways() -> None:
    async with proxied() as (_, port), connected(port) as client:
        assert await _say(client, b"hello") == b"hello"


async def test_a_cut_breaks_what_is_connected_and_what_comes_until_it_passes_again() -> None:
    async with proxied() as (remote, port):
        async with connected(port) as client:
            assert await _say(client, b"hello") == b"hello"
            await remote.set("cut")
            assert await _ended(client)
        async with connected(port) as client:
            assert await _ended(client)
        await remote.set("pass")
        async with connected(port) as client:
            assert await _say(client, b"again") == b"again"


async def test_a_stall_keeps_the_connection_and_what_was_said() -> None:
    async with proxied() as (remote, port), connected(port) as streams:
        assert await _say(streams, b"hello") == b"hello"
        await remote.set("stall")
        with pytest.raises(TimeoutError):
            await _say(streams, b"later", 0.2)
        await remote.set("pass")
        async with asyncio.timeout(5):
            assert await streams[0].read(100) == b"later"


async def test_a_delay_holds_each_piece_back() -> None:
    async with proxied() as (remote, port), connected(port) as streams:
        await remote.set("delay 100")
        began = asyncio.get_running_loop().time()
        assert await _say(streams, b"hello") == b"hello"
        assert asyncio.get_running_loop().time() - began >= 0.2


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no such mode"):
        Proxy(1).set("burn")


async def _ended(streams: Streams) -> bool:
    try:
        async with asyncio.timeout(5):
            return await streams[0].read(1) == b""
    except ConnectionError:
        return True
