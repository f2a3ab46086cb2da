"""A device itself: takes an order over HTTP (contract device.openapi.json).

The answer's table is promise 2 in code: what counts as "not started" may be sent again, so only an
error before the first byte does. httpx's own transport, whose errors are right by themselves.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import httpx

from managers.address import Address, Network, resolve
from managers.transport import connect_s, no_cookies, phases, sent
from models.errors import PermanentError, TransientError

IPS_MOST: Final = 4
"""Addresses of one name that are tried, as long as no byte was sent; they share the time."""

PEEK_S: Final = 1.5
"""How long a device that was away may take to accept a connection before it counts as away."""
HTTP_PORT: Final = 80

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,8000}[\x21-\x7e])?")


def _sendable(headers: Mapping[str, str]) -> dict[str, str]:
    """Leave out what HTTP can't carry: a sender's odd trace header must not fail a scan."""
    return {
        name.lower(): value
        for name, value in headers.items()
        if _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)
    }


def _own_headers(address: Address) -> dict[str, str]:
    return {"content-type": "application/json", "host": address.netloc}


class Scanner:
    """Posts orders to devices, each once, over a connection of its own."""

    name = "device"

    def __init__(
        self, device_path: str, *, networks: Sequence[Network] = (), timeout_s: float = 5.0
    ) -> None:
        self._path = device_path
        self._networks = tuple(networks)
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                trust_env=False,
                retries=0,
                # No kept-alive connections: one that the device has just dropped would make an
                # order UNKNOWN that never reached it.
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=0),
            ),
            trust_env=False,
            follow_redirects=False,
            cookies=no_cookies(),
            headers={"accept-encoding": "identity", "connection": "close"},
        )

    async def post_device_task(
        self, address: Address, body: bytes, *, headers: Mapping[str, str]
    ) -> None:
        """Post an order, once; returns when the device answers 200.

        Raises PermanentError on 3xx, 4xx and an address that is not permitted (not started);
        TransientError: with sent=False no byte was sent, with sent=True nobody knows whether the
        scan started, and the order must not be sent again. The status alone decides: the answer's
        body is not read.
        """
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        first = connect_s(self._timeout_s)
        ips = (await resolve(address, self._networks, timeout_s=first))[:IPS_MOST]
        # Looking up and connecting end before the deadline, at 0.8 of it: what the deadline
        # strikes was sent.
        phase = phases(self._timeout_s, first / len(ips))
        requests = [
            self._client.build_request(
                "POST",
                Address(str(ip), address.port).base_url + self._path,
                content=body,
                headers=_sendable(headers) | _own_headers(address),
                timeout=phase,
            )
            for ip in ips
        ]
        self._judge(await self._first_that_takes(requests, deadline))

    async def take_connection(self, address: Address) -> None:
        """See that a device that was away takes connections again; sends nothing.

        Raises TransientError (sent=False) if it does not, PermanentError for a forbidden address.
        """
        limit_s = min(PEEK_S, connect_s(self._timeout_s))
        ips = (await resolve(address, self._networks, timeout_s=limit_s))[:IPS_MOST]
        for ip in ips:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(limit_s / len(ips)):
                    _, writer = await asyncio.open_connection(str(ip), address.port or HTTP_PORT)
                writer.close()
                return
        raise TransientError("no connection to the device was made", sent=False)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _first_that_takes(self, requests: Sequence[httpx.Request], deadline: float) -> int:
        last = TransientError("no connection to the device was made", sent=False)
        for request in requests:
            try:
                return await self._post(request, deadline)
            except TransientError as error:
                if error.sent:
                    raise
                last = error
        raise last

    async def _post(self, request: httpx.Request, deadline: float) -> int:
        """Give the status of the answer. Raises TransientError."""
        status: int | None = None
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._client.send(request, stream=True)
                status = response.status_code
                await response.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            if status is None:
                began = sent(error) if isinstance(error, httpx.HTTPError) else True
                what = (
                    "the device did not answer in time: whether it started is not known"
                    if began
                    else "the device takes no connection in time"
                )
                raise TransientError(what, sent=began) from error
        except httpx.HTTPError as error:
            if status is None:
                began = sent(error)
                what = (
                    "the device broke the connection off: whether it started is not known"
                    if began
                    else "no connection to the device was made"
                )
                raise TransientError(what, sent=began) from error
        # An error while closing changes nothing: the device has answered.
        assert status is not None  # noqa: S101 - the two branches above raise otherwise
        return status

    @staticmethod
    def _judge(status: int) -> None:
        if status == httpx.codes.OK:
            return
        if httpx.codes.is_redirect(status):
            raise PermanentError(
                f"the device redirects ({status}); redirects are never followed", status=status
            )
        if httpx.codes.is_client_error(status):
            raise PermanentError(f"the device refused the order ({status})", status=status)
        raise TransientError(
            f"the device answered {status}: whether it started is not known", status=status
        )
