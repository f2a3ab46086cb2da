"""The device manager: where a device is (contract device-manager.openapi.json)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydantic import TypeAdapter

from managers.address import Address, Network, check_address, parse_address
from managers.cache import Cache
from managers.client import Manager, Question
from managers.tokens import Tokens
from models.errors import PermanentError
from models.managers import DeviceAddress

CACHE_BYTES: Final = 1024 * 1024
ENTRY_BYTES: Final = 1024  # an address with its key, roughly: about a thousand devices
ID_MOST: Final = 256  # models.base.DeviceId

_ASKED: Final = "for a device's address"
_SAYS: Final = {404: "knows no such device"}
_ANSWER: Final = TypeAdapter(DeviceAddress)


def device_segment(device_id: str) -> str:
    """Quote a device's id as one segment of a path. Raises PermanentError.

    An id is any string that a device chose. Slashes are quoted too, but servers and gateways
    unquote before they route: parts that are empty, `.` or `..` could reach another endpoint.
    """
    parts = device_id.split("/")
    if len(device_id) > ID_MOST or any(part in {"", ".", ".."} for part in parts):
        raise PermanentError("the device's id cannot be asked for: it is no segment of a path")
    try:
        return quote(device_id, safe="")
    except UnicodeEncodeError:
        raise PermanentError("the device's id cannot be asked for: it is no text") from None


class DeviceManager(Manager):
    """Knows where devices are."""

    name = "device manager"
    setting = "DEVICE_MANAGER_URI"
    health = ("/api/v1/device/health/readiness",)

    def __init__(
        self,
        uri: str,
        *,
        cache_s: float,
        networks: Sequence[Network],
        clock: Callable[[], float],
        timeout_s: float = 5.0,
        ca_file: Path | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        super().__init__(uri, timeout_s=timeout_s, ca_file=ca_file, tokens=tokens)
        self._networks = tuple(networks)
        self._cache: Cache[str, Address] = Cache(
            ttl_s=cache_s, max_bytes=CACHE_BYTES, size=lambda _: ENTRY_BYTES, clock=clock
        )

    def kept(self, device_id: str) -> Address | None:
        """Give a device's address that is kept, without asking anybody."""
        return self._cache.peek(device_id)

    async def device_location_request(self, device_id: str) -> Address:
        """Give a device's address, checked; kept for `cache_s` seconds.

        Raises PermanentError for an unknown device, an id that can't be asked for, an address that
        is none or lies outside of the permitted networks (a name is checked when it is resolved);
        TransientError.
        """
        question = Question(
            method="GET",
            path=f"/api/v1/device/{device_segment(device_id)}/ip_address",
            asked=_ASKED,
            says=_SAYS,
        )

        async def load() -> Address:
            answer = self._parse(_ANSWER, await self._ask(question), _ASKED)
            return check_address(parse_address(answer.ip_address), self._networks)

        return await self._cache.get(device_id, load)

    def forget(self, device_id: str) -> None:
        """Drop a kept address: a connection to it failed, the device may have moved."""
        self._cache.forget(device_id)
