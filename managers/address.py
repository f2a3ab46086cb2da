"""Where a device is: the text that the device manager holds, checked before anything is sent."""

import asyncio
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final

from models.errors import PermanentError, TransientError

Ip = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DEFAULT_PORT: Final = 80
NAME_MOST: Final = 253  # RFC 1035

# Underscores: names of containers have them.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PARTS = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<host>[^\[\]:]*))(?::(?P<port>[0-9]{1,5}))?")

_REFUSED: Final = "the device's address, as the device manager gives it, is not host[:port]"
_OUTSIDE: Final = "the device's address lies outside of SCANHUB_DEVICE_NETWORKS"


@dataclass(frozen=True, slots=True)
class Address:
    """A device's host (a name, IPv4, or IPv6 without brackets) and port."""

    host: str
    port: int | None = None

    @property
    def ip(self) -> Ip | None:
        """The host as an IP address; None if it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def netloc(self) -> str:
        """As it stands in a URL and in the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """`http://` and the address, without a slash at the end."""
        return f"http://{self.netloc}"


def parse_address(text: str) -> Address:
    """Read `host[:port]`; nothing else is an address: no scheme, path, user, space.

    A name whose last label is a number is refused unless it is plain IPv4: resolvers take `127.1`
    or `0x7f000001` as addresses, past the eye of whoever reads a list of networks. Raises
    PermanentError, without the text (a sender chose it).
    """
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise PermanentError(_REFUSED)
    port = int(parts["port"]) if parts["port"] is not None else None
    if port is not None and not 1 <= port <= 65_535:  # noqa: PLR2004 - TCP's range
        raise PermanentError(_REFUSED)
    six, host = parts["six"], parts["host"]
    try:
        if six is not None:
            return Address(_six(six), port)
        if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            return Address(str(IPv4Address(host)), port)
    except AddressValueError:
        raise PermanentError(_REFUSED) from None
    if len(host) > NAME_MOST or not _NAME.fullmatch(host):
        raise PermanentError(_REFUSED)
    return Address(host, port)


def _six(text: str) -> str:
    address = IPv6Address(text)
    if address.scope_id is not None:
        # A zone names a network card of this machine: no business of a device.
        raise AddressValueError
    return str(address)


def permitted(ip: Ip, networks: Sequence[Network]) -> bool:
    """Tell whether an address is in the list; an empty list permits all.

    IPv4 written as IPv6 (`::ffff:10.0.0.1`) is IPv4: it reaches the same machine.
    """
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return not networks or any((mapped or ip) in network for network in networks)


def check_address(address: Address, networks: Sequence[Network]) -> Address:
    """Give the address back if it may be asked; a name is checked when it is resolved.

    Raises PermanentError.
    """
    if address.ip is not None and not permitted(address.ip, networks):
        raise PermanentError(_OUTSIDE)
    return address


async def resolve(address: Address, networks: Sequence[Network], *, timeout_s: float) -> list[Ip]:
    """Give the IP addresses of a host that are in the list, in the resolver's order.

    Connect to these and not to the name: a second look-up may answer something else. Raises
    TransientError (nothing sent) when the name is not found, PermanentError when no address of it
    is permitted.
    """
    if address.ip is not None:
        check_address(address, networks)
        return [address.ip]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            found = await loop.getaddrinfo(
                address.host, address.port or DEFAULT_PORT, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError):
        # OSError holds TimeoutError and gaierror; UnicodeError is Python's for an odd name.
        raise TransientError("the device's name was not found", sent=False) from None
    # A zone (`%eth0`) may stand behind a link-local address; it is not asked for.
    ips = list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
    allowed = [ip for ip in ips if permitted(ip, networks)]
    if not allowed:
        raise PermanentError(_OUTSIDE)
    return allowed
