"""The running worker: tables, windows and timers, put together from settings."""

import asyncio
import logging
import warnings
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

from faust.exceptions import AlreadyConfiguredWarning

from agents import downloads
from agents.device import agent as device
from agents.device.state import RequestRow
from agents.downloads import Downloads
from agents.readiness import MIB, Readiness
from agents.record import agent as record
from agents.record.book import Book
from agents.record.files import RecordFiles
from agents.record.state import FileIndex, FileRow, ScanRow, WorkItem
from agents.subscription import device_topics, subscription_digest
from agents.sweep import add_sweep
from agents.tools import Pool, Tools
from agents.workflow import agent as workflow
from agents.workflow.assembly import assemble
from agents.workflow.state import WorkflowRow
from agents.workflow.state import WorkItem as WorkflowItem
from datalake import DataLake
from managers import Managers
from models import wire
from models.base import Message
from models.errors import FatalError
from models.work import ParkedRow
from settings import Settings
from streams.arrivals import Raw, arrivals
from streams.caughtup import CaughtUp
from streams.clock import Clock
from streams.deadletters import DeadLetters
from streams.engine import App
from streams.fresh import Fresh
from streams.guard import stop_now
from streams.inbound import Inbound
from streams.localstore import STORE_OPTIONS, LocalStore
from streams.metrics import Metrics
from streams.openwork import Due, OpenWork
from streams.outbox import Outbox
from streams.provision import changelog
from streams.startup import Startup
from streams.tables import DurableTable
from streams.topics import Topics
from streams.web import WebPort
from streams.window import Window

TABLES: Final = (
    "requests",
    "device-work",
    "scans",
    "result-files",
    "result-index",
    "workflows",
    "workflow-work",
    "record-work",
)
TICK_S: Final = 0.1
"""How often due work is looked for."""
LOOK_S: Final = 0.5
"""How often managers that are away, and the disk, are looked at."""

RowT = TypeVar("RowT", bound=Message)

log = logging.getLogger(__name__)


def fatal(error: BaseException) -> None:
    """End the worker: going on would lose a message or do something twice."""
    text = str(error) if isinstance(error, FatalError) else type(error).__name__
    stop_now(f"the worker stops: {text}")


class Runtime:
    """All parts of a worker. Making it does no I/O; `app` is what the `faust` command runs."""

    def __init__(
        self,
        app: App,
        settings: Settings,
        topics: Topics,
        clock: Clock,
        open_managers: Callable[[], Managers],
    ) -> None:
        self._app = app
        self._settings = settings
        self._topics = topics
        self._clock = clock
        self._owned = False
        self._drains = 0
        self._metrics = Metrics()
        self._outbox = Outbox(lambda: app.producer, topics, clock)
        managers = open_managers()

        async def close() -> None:
            await asyncio.gather(
                tools.files.close(), serving.close(), workflows.pool.close(), looks.close()
            )
            await managers.close()

        app.after_stop = close
        self._fresh = Fresh(partial(app.places, topics[wire.SCAN_JOBS]), app.ends)
        tools = Tools(
            settings=settings,
            partitions=topics.partitions,
            clock=clock,
            guard=app.guard,
            outbox=self._outbox,
            dead_letters=DeadLetters(self._outbox, clock, self._metrics),
            metrics=self._metrics,
            draining=lambda: any(window.draining for window in app.windows),
            fresh=self._fresh,
            behind=lambda m: self._records_window.behind(topics[m.topic], m.partition, m.key),
            caught_up=CaughtUp(
                [topics[name] for name in record.TOPICS],
                window=lambda: self._records_window,
                offsets=lambda: app.offsets,
                ask=app.ends,
                now_ms=clock.broker_ms,
                epoch=lambda: (app.consumer_generation_id, app.offsets.seeks),
            ),
            managers=managers,
            lake=DataLake(settings.data_lake, keep_free=settings.disk_free_mb * MIB),
            files=Pool(settings.file_tasks, fatal),
        )
        device_work = OpenWork(self._table("device-work", ParkedRow))
        record_work = OpenWork(self._table("record-work", WorkItem))
        scans = self._table("scans", ScanRow)
        files = RecordFiles(
            self._table("result-files", FileRow), self._table("result-index", FileIndex)
        )
        self._devices = device.DeviceAgent(tools, self._table("requests", RequestRow), device_work)
        self._records = record.RecordAgent(
            Book(tools=tools, scans=scans, files=files, work=record_work)
        )
        self._agent("device", device_topics(settings), self._devices.handle)
        self._records_window = self._agent("record", record.TOPICS, self._records.handle)
        workflow_work = OpenWork(self._table("workflow-work", WorkflowItem))
        rows = self._table("workflows", WorkflowRow)
        workflows = assemble(tools, topics, self._devices.health, rows, workflow_work, fatal=fatal)
        self._workflows = workflows.agent
        self._agent("workflow", workflow.TOPICS, self._workflows.handle)
        serving = Pool(settings.file_tasks, fatal)
        served = Downloads(
            tools, scans, files, serving, lambda place: self._owned and scans.owns(place)
        )
        self._agent("downloads", downloads.TOPICS, served.handle)
        app.before_start = self._before_start
        app.on_drained = self._disowned
        looks = Pool(2, fatal)
        self._readiness = Readiness(
            tools,
            self._devices.health,
            owned=lambda: self._owned and not app.rebalancing,
            waiting=self._devices.waiting,
            wake=self._devices.wake_parked,
            looks=looks,
        )
        app.timer(TICK_S)(self._tick)
        self._sweep = add_sweep(app, tools, lambda: self._owned and not app.rebalancing)
        app.timer(LOOK_S)(self._readiness.look)
        app.timer(1.0)(app.note_persisted)
        self._works: list[tuple[str, OpenWork[Any], Callable[[Due], Awaitable[None]]]] = [
            ("device", device_work, self._devices.wake),
            ("record", record_work, self._records.wake),
            ("workflow", workflow_work, self._workflows.wake),
        ]
        for name, work, _ in self._works:
            self._metrics.open_work.labels(name).set_function(partial(getattr, work, "size"))

    def _table(self, name: str, model: type[RowT]) -> DurableTable[RowT]:
        table = self._app.Table(
            name,
            partitions=self._topics.partitions,
            key_type=bytes,  # for a table, bytes means raw
            value_type=bytes,
            options=STORE_OPTIONS,
        )
        if name == TABLES[-1]:
            table.on_recover(self._recovered)  # called when all tables are recovered
        durable = DurableTable(table, model, self._outbox, fatal)
        self._app.durables.append(durable)
        return durable

    def _agent(
        self,
        name: str,
        logical: tuple[str, ...],
        handle: Callable[[Inbound], Awaitable[Awaitable[Any] | None]],
    ) -> Window:
        names = {self._topics[topic]: topic for topic in logical}
        app = self._app

        async def settle(event: Any) -> Awaitable[Any] | None:
            return await handle(Inbound.of(event, names[event.message.topic]))

        window = Window(
            settle,
            in_flight=self._settings.in_flight,
            generation=lambda: app.consumer_generation_id,
            fatal=fatal,
            whole=lambda message: app.offsets.take(message.tp, message.offset),
        )
        app.windows.append(window)
        window.topics = frozenset(names)
        self._metrics.open_messages.labels(name).set_function(lambda: window.open)

        async def run(stream: Any) -> None:
            window.queued = stream.channel.queue.qsize
            await window.run(arrivals(stream.noack()), lambda event: event.ack())

        channel = app.topic(
            *names,
            schema=Raw(),
            partitions=self._topics.partitions,
        )
        app.agent(channel, name=name)(run)
        return window

    async def _before_start(self) -> None:
        """See that the topics are right, and choose the folder of the local stores."""
        settings = self._settings
        if settings.web_port:
            port = WebPort(
                settings.web_host,
                settings.web_port,
                self._metrics,
                self._readiness.why_not_ready,
                self._readiness.outages,
            )
            await self._app.add_runtime_dependency(port)
        startup = Startup(
            bootstrap=settings.kafka,
            specs=[
                *self._topics.specs(),
                *(changelog(settings.app_id, name, self._topics.partitions) for name in TABLES),
            ],
            make=settings.create_topics,
            group=settings.app_id,
            worker_id=settings.worker_id,
            digest=subscription_digest(settings, self._topics),
        )
        cluster, broker_ms = await startup.run()
        self._readiness.broker_found = True
        self._clock.observe_broker(broker_ms)
        name = f"{cluster}-{settings.app_id}-{settings.worker_id}"
        self._store = LocalStore(settings.state_dir / name)
        if (away_s := self._store.away_s()) > 0:
            log.warning("waiting %.0f s until the broker has forgotten this member", away_s)
            await asyncio.sleep(away_s)
        self._store.open()
        self._app.on_half = self._store.spoil
        with warnings.catch_warnings():
            # Faust warns of late settings; the stores are opened later still.
            warnings.simplefilter("ignore", AlreadyConfiguredWarning)
            self._app.conf.datadir = self._store.folder
        if not settings.device_manager_uri:
            log.warning("DEVICE_MANAGER_URI is not set: scan jobs wait until it is")

    async def _recovered(self) -> None:
        self._app.forget_kept()
        drains = self._drains
        await self._fresh.learn()
        if drains != self._drains:  # a rebalance began, and Faust lets this go on: half recovered
            return
        self._devices.recovered()
        self._records.recovered()
        self._workflows.recovered()
        self._sweep.recovered()
        self._owned = self._app.owned = True
        await self._app.rest_changelogs()

    def _disowned(self) -> None:
        self._drains += 1
        self._owned = False
        self._fresh.forget()

    async def _tick(self) -> None:
        """Turn what is due into messages of its owner; nothing else happens in a timer."""
        if not self._owned or self._app.rebalancing:
            return
        self._app.guard.check()  # a worker that slept ends at once, also where it has nothing to send
        now = self._clock.broker_ms()
        for _, work, wake in self._works:
            for due in work.due(now):
                await wake(due)
        await self._readiness.tell()
        self._store.touch()
