"""The managers put together: one process, one port for each, and a control port for all."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from aiohttp import web

from sandbox.managers import seeds
from sandbox.managers.answers import Answer, as_json
from sandbox.managers.bodies import TaskIn, TaskWithInputsIn
from sandbox.managers.devices import Devices
from sandbox.managers.exam_records import Records
from sandbox.managers.exam_templates import Templates
from sandbox.managers.exam_workflows import Workflows
from sandbox.managers.journal import Journal
from sandbox.managers.knobs import Faults, Knobs
from sandbox.managers.listener import Handle, Listener
from sandbox.managers.login import IDLE_S, PASSWORD, USER, Login, Tokens
from sandbox.managers.router import Call, Handler, Route, Router
from sandbox.managers.sequences import Sequences
from sandbox.managers.service import CONTROL, Service
from sandbox.managers.store import Store

Era = Literal["integer", "uuid", "none", "inputs"]
"""How the exam manager keeps records. `inputs`: none, and tasks declare the tasks they build on."""
ERAS: Final[tuple[Era, ...]] = get_args(Era)
SERVICES: Final = ("exam", "device", "sequence", "login")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the managers are run. `ports` by service, 0 or left out: the system chooses.

    With `tokens` all of them ask for one; the login manager knows `users` by their passwords.
    """

    era: Era = "integer"
    any_job: bool = False
    tokens: bool = False
    token_idle_s: float = IDLE_S
    users: Mapping[str, str] = field(default_factory=lambda: {USER: PASSWORD}, repr=False)
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
    tokens = Tokens(options.users, idle_s=options.token_idle_s)
    controls = {**seeds.controls(store), ("POST", "end-tokens"): _ending(tokens)}
    services = [
        Service(
            name,
            Router(
                _routes(name, store, options, tokens),
                tokens.authorise if options.tokens or name == "login" else None,
            ),
            faults=Faults(Knobs()),
            journal=journal,
            controls=controls,
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


def _routes(name: str, store: Store, options: Options, tokens: Tokens) -> list[Route]:
    if name == "device":
        return Devices(store).routes()
    if name == "sequence":
        return Sequences(store).routes()
    if name == "login":
        return Login(tokens).routes()
    task_in = TaskWithInputsIn if options.era == "inputs" else TaskIn
    workflows = Templates(store, task_in).routes() + Workflows(store, task_in).routes()
    if options.era in ("none", "inputs"):
        return workflows
    records = Records(store, uuids=options.era == "uuid", any_job=options.any_job)
    return records.routes() + workflows


def _ending(tokens: Tokens) -> Handler:
    def end_tokens(_call: Call) -> Answer:
        tokens.end_all()
        return as_json({"message": "ended"})

    return end_tokens


def _control(services: Sequence[Service]) -> Handle:
    by_name = {service.name: service for service in services}

    async def handle(request: web.Request) -> web.StreamResponse:
        name, slash, rest = request.path.removeprefix("/").partition(CONTROL)
        if not slash or name not in by_name:
            return web.json_response({"detail": "Not Found"}, status=404)
        return await by_name[name].control(request, rest)

    return handle
