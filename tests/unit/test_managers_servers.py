"""Little servers on loopback for the tests of managers/: raw bytes, so that they can misbehave."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[["Taken", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Taken:
    """A request as the server took it; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    port: int
    scheme: str
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0

    @property
    def uri(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(answer: Answer, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve until the end of the block: each request is taken whole and given to `answer`."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        running.connections += 1
        try:
            while not writer.is_closing() and (taken := await _take(reader)) is not None:
                running.taken.append(taken)
                await answer(taken, writer)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, limit=1024 * 1024)
    running = Server(server.sockets[0].getsockname()[1], "https" if tls else "http")
    try:
        yield running
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        # The transports close in the loop's next round.
        await asyncio.sleep(0)


async def _take(reader: asyncio.StreamReader) -> Taken | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Taken(method, target, headers, body)


def response(status: int, body: bytes = b"", *, length: int | None = None, more: str = "") -> bytes:
    """Give the bytes of an answer; `more` are header lines, each with its line end."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status} X\r\ncontent-length: {size}\r\n{more}\r\n".encode() + body


def says(status: int, content: Any = None, *, more: str = "") -> Answer:
    """Answer each request alike, with JSON."""
    body = b"" if content is None else json.dumps(content).encode()

    async def answer(_: Taken, writer: asyncio.StreamWriter) -> None:
        writer.write(response(status, body, more=more))

    return answer


def sends(raw: bytes) -> Answer:
    """Answer with these bytes and close."""

    async def answer(_: Taken, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    return answer


async def drops(_: Taken, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def resets(_: Taken, writer: asyncio.StreamWriter) -> None:
    """Close with RST and not with FIN."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def is_silent(_: Taken, __: asyncio.StreamWriter) -> None:
    """Take the request and never answer."""
    await asyncio.Event().wait()


def free_port() -> int:
    """Give a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def full_backlog() -> Iterator[int]:
    """Give a port whose queue of connections is full: the kernel leaves the next one unanswered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        try:
            for one in waiting:
                one.setblocking(False)  # noqa: FBT003 - takes no name
                one.connect_ex(("127.0.0.1", port))
            yield port
        finally:
            for one in waiting:
                one.close()


async def test_a_server_takes_requests_whole() -> None:
    async with serving(says(200, {"a": 1})) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
    assert server.taken == [Taken("POST", "/x", {"content-length": "2"}, b"hi")]
