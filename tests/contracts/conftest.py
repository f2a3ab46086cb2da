"""Simulated managers on real ports, and a client that shows every answer to its contract."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from sandbox.managers.run import Addresses, Era, Options, running
from tests.contracts.openapi import contract, example

FILES = {
    "exam": "exam-manager",
    "device": "device-manager",
    "sequence": "sequence-manager",
    "login": "user-login-manager",
}


@dataclass(frozen=True)
class Reply:
    status: int
    media_type: str
    body: bytes
    headers: Any

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def is_plain_500(self) -> bool:
        return (self.status, self.media_type, self.text) == (
            500,
            "text/plain",
            "Internal Server Error",
        )


class Client:
    def __init__(self, session: aiohttp.ClientSession, addresses: Addresses) -> None:
        self._session = session
        self.addresses = addresses
        self.headers: dict[str, str] = {}
        """What every call carries."""

    async def call(
        self, service: str, method: str, path: str, body: Any = None, *, form: Any = None
    ) -> Reply:
        url = self.addresses.services[service] + path
        async with self._session.request(
            method, url, json=body, data=form, headers=self.headers, allow_redirects=False
        ) as got:
            return Reply(got.status, got.content_type, await got.read(), got.headers)

    async def checked(
        self,
        service: str,
        method: str,
        template: str,
        body: Any = None,
        *,
        form: Any = None,
        query: str = "",
        **parameters: object,
    ) -> Reply:
        """Call an operation and fail unless its contract declares the answer."""
        path = template.format(**parameters) + query
        reply = await self.call(service, method, path, body, form=form)
        judge = contract(FILES[service])
        judge.check(method, template, reply.status, reply.media_type, reply.body)
        return reply

    async def control(self, service: str, method: str, name: str, body: Any = None) -> Any:
        url = f"{self.addresses.control[service]}/_sandbox/{name}"
        async with self._session.request(method, url, json=body) as got:
            assert got.status == 200, await got.text()
            return await got.json()


Managers = Callable[..., Awaitable[Client]]


@pytest.fixture
async def managers() -> AsyncIterator[Managers]:
    """Give a function that runs managers of an era, seeded with the contracts' examples."""
    async with AsyncExitStack() as stack:

        async def run(era: Era = "integer", **options: Any) -> Client:
            addresses = await stack.enter_async_context(running(Options(era=era, **options)))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            client = Client(session, addresses)
            job = example("job-out" if era == "integer" else "job-out-uuid")
            await client.control(
                "exam",
                "POST",
                "seed",
                {
                    "devices": [example("device-out")],
                    "sequences": [example("sequence-out")],
                    "jobs": [job],
                    "workflows": [example("workflow-out")],
                    "tasks": example("task-list"),
                },
            )
            return client

        yield run
