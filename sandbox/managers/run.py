"""The managers put together: one process, one port for each, and a control port for all."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from aiohttp import web

from sandbox.managers import seeds
from sandbox.managers.devices import Devices
from sandbox.managers.exam_records import Records
from sandbox.managers.exam_workflows import Workflows
from sandbox.managers.journal import Journal
from sandbox.managers.knobs import Faults, Knobs
from sandbox.managers.listener import Handle, Listener
from sandbox.managers.router import Route, Router
from sandbox.managers.sequences import Sequences
from sandbox.managers.service import CONTROL, Service
from sandbox.managers.store import Store

Era = Literal["integer", "uuid", "none"]
SERVICES: Final = ("exam", "device", "sequence")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the managers are run. `ports` by service, 0 or left out: the system chooses."""

    era: Era = "integer"
    any_job: bool = False
    log: Path | None = None
    state: Path | None = None
    services: Sequence[str] = SERVICES
    ports: Mapping[str, int] = field(default_factory=dict)
    control_port: int = 0


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where to reach what runs.

    `control` holds one address for each service, on a port that listens even while the service's
    own port refuses: append `/_sandbox/…` to it.
    """

    services: Mapping[str, str]
    control: Mapping[str, str]


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[Addresses]:
    """Run the managers until the block is left."""
    journal, store = Journal(options.log), Store(options.state)
    services = [
        Service(
            name,
            Router(_routes(name, store, options)),
            faults=Faults(Knobs()),
            journal=journal,
            controls=seeds.controls(store),
            port=options.ports.get(name, 0),
        )
        for name in options.services
    ]
    try:
        async with served(services, options.control_port) as addresses:
            yield addresses
    finally:
        journal.close()
        store.close()


@asynccontextmanager
async def served(services: Sequence[Service], control_port: int = 0) -> AsyncIterator[Addresses]:
    """Listen for services and for their control port until the block is left."""
    async with AsyncExitStack() as stack:
        control = Listener(_control(services), control_port)
        for listener in [control, *(service.listener for service in services)]:
            stack.push_async_callback(listener.stop)
            await listener.start()
        yield Addresses(
            services={service.name: service.listener.url for service in services},
            control={service.name: f"{control.url}/{service.name}" for service in services},
        )


def _routes(name: str, store: Store, options: Options) -> list[Route]:
    if name == "device":
        return Devices(store).routes()
    if name == "sequence":
        return Sequences(store).routes()
    workflows = Workflows(store).routes()
    if options.era == "none":
        return workflows
    records = Records(store, uuids=options.era == "uuid", any_job=options.any_job)
    return records.routes() + workflows


def _control(services: Sequence[Service]) -> Handle:
    by_name = {service.name: service for service in services}

    async def handle(request: web.Request) -> web.StreamResponse:
        name, slash, rest = request.path.removeprefix("/").partition(CONTROL)
        if not slash or name not in by_name:
            return web.json_response({"detail": "Not Found"}, status=404)
        return await by_name[name].control(request, rest)

    return handle
