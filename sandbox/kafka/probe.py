"""Is the broker ready? Asked in Kafka's own protocol, since an open port is not readiness."""

import socket
import struct
from typing import Final

from sandbox.kafka.properties import HOST

_METADATA: Final = 3
_VERSION: Final = 1
_CLIENT: Final = b"sandbox-probe"
# length, api key, api version, correlation id, client id, then: no topics, please
_REQUEST: Final = struct.pack(
    f">ihhih{len(_CLIENT)}si", 14 + len(_CLIENT), _METADATA, _VERSION, 1, len(_CLIENT), _CLIENT, 0
)


def is_ready(port: int, *, timeout: float = 1.0) -> bool:
    """Whether the broker answers with itself as an active node of the cluster."""
    try:
        with socket.create_connection((HOST, port), timeout=timeout) as connection:
            connection.sendall(_REQUEST)
            (length,) = struct.unpack(">i", _read(connection, 4))
            answer = _read(connection, length)
    except OSError:
        return False
    (nodes,) = struct.unpack_from(">i", answer, 4)  # after the correlation id
    return int(nodes) > 0


def _read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionResetError("closed before the answer was complete")
        data += part
    return data
