"""A device that was away: looked at before a START is intended, without a byte."""

import asyncio

import pytest

from managers import Address, Scanner
from models.errors import TransientError


async def test_a_device_that_was_away_is_looked_at_without_a_byte() -> None:
    taken = asyncio.Event()
    got = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.read())
        writer.close()
        taken.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    scanner = Scanner("/start-scan")
    await scanner.take_connection(Address("127.0.0.1", port))
    await asyncio.wait_for(taken.wait(), 5)
    assert not got
    server.close()
    await server.wait_closed()
    with pytest.raises(TransientError) as caught:
        await scanner.take_connection(Address("127.0.0.1", port))
    assert not caught.value.sent
    await scanner.close()
