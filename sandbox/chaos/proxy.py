"""A TCP proxy that cuts, stalls and delays: `python -m sandbox.chaos.proxy --listen P --target P`.

A process of its own, so that what the runner does at the moment delays nobody. Prints one line of
JSON with its control port, which takes a mode a line: `pass`, `cut`, `stall`, `delay MILLISECONDS`.
"""

import argparse
import asyncio
import json
import sys
from contextlib import suppress
from typing import Final

from sandbox.kafka.properties import HOST
from sandbox.managers.signals import stop_asked

_CHUNK: Final = 65_536


class Proxy:
    """Connects each client with the target, under the mode of the moment."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._delay_s = 0.0
        self._cut = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[asyncio.StreamWriter] = set()

    def set(self, mode: str) -> None:
        """Take a mode. `cut` breaks what is connected and refuses what comes; the rest keeps it."""
        name, _, number = mode.partition(" ")
        if name not in ("pass", "cut", "stall", "delay"):
            raise ValueError(f"no such mode: {name}")
        self._delay_s = float(number) / 1000 if name == "delay" else 0.0
        self._cut = name == "cut"
        if name == "stall":
            self._flowing.clear()
        else:
            self._flowing.set()
        if self._cut:
            for writer in list(self._open):
                writer.transport.abort()

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until either side ends."""
        if self._cut:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection(HOST, self._target)
        except OSError:  # the broker is down: so are we, for this client
            writer.transport.abort()
            return
        ends = {writer, there[1]}
        self._open |= ends
        try:
            ways = [self._flow(reader, there[1]), self._flow(there[0], writer)]
            tasks = [asyncio.create_task(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _flow(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take modes, one a line; each is answered when it holds."""
        while line := await reader.readline():
            self.set(line.decode().strip())
            writer.write(b"ok\n")
            await writer.drain()
        writer.close()


class Remote:
    """The other end of a proxy's control port."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def set(self, mode: str) -> None:
        """Set a mode; it holds on return."""
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            writer.write(f"{mode}\n".encode())
            await writer.drain()
            async with asyncio.timeout(5):
                await reader.readline()
        finally:
            writer.close()
            await writer.wait_closed()


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.chaos.proxy", description=__doc__)
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--target", type=int, required=True)
    given = parser.parse_args()
    try:
        asyncio.run(_run(given.listen, given.target))
    except OSError as error:
        sys.exit(f"cannot listen: {error.strerror}")


async def _run(listen: int, target: int) -> None:
    proxy = Proxy(target)
    clients = await asyncio.start_server(proxy.client, HOST, listen)
    control = await asyncio.start_server(proxy.control, HOST, 0)
    async with stop_asked() as stop, clients, control:
        print(json.dumps({"control": control.sockets[0].getsockname()[1]}), flush=True)
        await stop.wait()
        proxy.set("cut")  # server.wait_closed() waits for open connections


if __name__ == "__main__":
    main()
