"""Loopback ports for a broker that may be killed and come back on the same one.

While a broker is down, its clients knock at its port again and again. A port from the system's own
range can then be given to one of those very clients as its source, even connecting it to itself,
and the broker can't come back. So ports are taken from below that range (where it is Linux's), after
the system said that they are free. And a socket that is bound and not listening keeps others off
the port; Java, which sets SO_REUSEADDR as we do, may still listen on it (Linux).
"""

import errno
import random
import socket
import sys
import time
from contextlib import suppress
from typing import Final

from sandbox.kafka.errors import KafkaFailedError
from sandbox.kafka.properties import HOST

_BELOW: Final = range(20_000, 32_000)  # Linux hands out 32768 and above
_TRIES: Final = 50
_LEAVES_S: Final = 5.0


def free_ports(count: int) -> list[int]:
    """Give ports that are free now, all different."""
    sockets: list[socket.socket] = []
    try:
        for port in random.SystemRandom().sample(_BELOW, _TRIES):
            if len(sockets) < count:
                with suppress(OSError):
                    sockets.append(_bound(port))
        sockets += [_bound(0) for _ in range(count - len(sockets))]
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


class HeldPorts:
    """Ports that nobody else gets until they are released."""

    def __init__(self, *ports: int) -> None:
        self._ports = ports
        self._sockets: list[socket.socket] = []

    def hold(self) -> None:
        """Take the ports; holding them twice is fine."""
        if self._sockets:
            return
        for port in self._ports:
            try:
                self._sockets.append(_bound_soon(port))
            except OSError as error:
                self.release()
                raise KafkaFailedError(f"port {port} is taken ({error.strerror})") from error
        if sys.platform != "linux":
            self.release()  # elsewhere the broker could not listen beside us

    def release(self) -> None:
        """Give the ports back."""
        while self._sockets:
            self._sockets.pop().close()


def _bound_soon(port: int) -> socket.socket:
    """Bind a port; one of a broker that was just killed is free a moment later.

    Linux lets go of a dying process's memory before its sockets, so it looks gone while it listens.
    """
    until = time.monotonic() + _LEAVES_S
    while True:
        try:
            return _bound(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise
        time.sleep(0.05)


def _bound(port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((HOST, port))
    except OSError:
        one.close()
        raise
    return one
