"""A loopback port that can really refuse connections, and come back under the same number.

The difference counts: a refused connection proves that no byte was sent, so a START may be sent
again; a connection that was taken and dropped proves nothing.
"""

import socket
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

HOST: Final = "127.0.0.1"
LARGEST_BODY: Final = 64 * 1024 * 1024
"""Bytes; twice what the topic of device tasks carries."""
_BACKLOG: Final = 1024
_STOP_SECONDS: Final = 0.2  # what hangs by order would hang for ever

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Listener:
    """One port with one handler for everything that comes."""

    def __init__(self, handle: Handle, port: int = 0) -> None:
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", handle)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=_STOP_SECONDS, handle_signals=False
        )
        self._site: web.SockSite | None = None
        self._socket: socket.socket | None = None
        self.port = port

    @property
    def url(self) -> str:
        """The address as others use it."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen; a port 0 becomes the one that the system gave."""
        await self._runner.setup()
        self._bind()
        await self.accept()

    async def accept(self) -> None:
        """Take connections; again, after `refuse`."""
        if self._site is None and self._socket is not None:
            self._site = web.SockSite(self._runner, self._socket, backlog=_BACKLOG)
            await self._site.start()

    async def refuse(self, keep: object = None) -> None:
        """Refuse new connections and cut those that are open, but for the transport `keep`.

        A socket that is bound but does not listen refuses, and keeps the number ours.
        """
        if self._site is None:
            return
        await self._site.stop()
        self._site = None
        self._bind()
        server = self._runner.server
        for connection in list(server.connections) if server is not None else []:
            if connection.transport is not None and connection.transport is not keep:
                connection.transport.abort()

    async def stop(self) -> None:
        """Close everything."""
        await self._runner.cleanup()
        if self._socket is not None:
            self._socket.close()

    def _bind(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, self.port))
        self.port = self._socket.getsockname()[1]
