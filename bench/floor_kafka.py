"""What a message, a row and an event cost on their way to the broker."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NoReturn, cast

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError
from faust.stores.rocksdb import RocksDBOptions

from agents.record.state import ScanRow
from agents.tools import Pool, Tools, changed
from bench.floor_rounds import Part, calls
from models import wire
from models.events import ScanState
from models.steps import ScanIdentity
from settings import Settings
from streams.clock import Clock
from streams.deadletters import DeadLetters
from streams.guard import Guard
from streams.localstore import STORE_OPTIONS
from streams.metrics import Metrics
from streams.outbox import Outbox, standard_headers
from streams.provision import Provisioner, changelog
from streams.tables import DurableTable
from streams.topics import Topics

PARTITIONS: Final = 8
PREFIX: Final = "floor-"
SMALL: Final = b"s" * 300
LARGE: Final = b"l" * 21_000
_DIFFERENT: Final = 1000
_APP: Final = "floor"
_TABLE: Final = "scans"
_SESSION_S: Final = 3600.0  # nobody beats here; as long as any run, so that the check stays cheap
_SMALL_TOPIC: Final = wire.RECORD_STEPS
_LARGE_TOPIC: Final = wire.DEVICE_TASKS


def the_topics() -> Topics:
    """Name the topics of the whole run."""
    return Topics(prefix=PREFIX, partitions=PARTITIONS)


async def make_topics(bootstrap: str) -> None:
    """Make all topics, and the changelog, with the settings that a worker gives them."""
    specs = [*the_topics().specs(), changelog(_APP, _TABLE, PARTITIONS)]
    async with Provisioner(bootstrap) as provisioner:
        await provisioner.look(specs, make=True)


def make_producer(bootstrap: str) -> AIOKafkaProducer:
    """Make a producer as Faust makes it from faust_app.py's settings."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        max_batch_size=1_048_576,
        max_request_size=34 * 1024 * 1024,
        linger_ms=0,
    )


_Message = tuple[bytes, list[tuple[str, bytes | None]]]


def key_and_headers(number: int) -> _Message:
    """Give a message's key, one of 50, and its two headers."""
    headers = standard_headers(f"request-{number}", wire.make_id("floor", "message", str(number)))
    return b"mri-%04d" % (number % 50), headers


@asynccontextmanager
async def kafka_parts(bootstrap: str, folder: Path) -> AsyncIterator[list[Part]]:
    """Give the parts, with a producer and a local store that are there for the whole block."""
    topics, clock = the_topics(), Clock()
    with ExitStack() as stack:
        table = _StandIn(folder, stack)
        async with make_producer(bootstrap) as producer:
            outbox = Outbox(lambda: _Faust(producer, clock), topics, clock)
            rows = DurableTable(table, ScanRow, outbox, _fatal)
            tools = _tools(outbox, clock)
            # Made before: only what a message costs that is there already is measured.
            made = [key_and_headers(number) for number in range(_DIFFERENT)]
            yield [
                _plain(producer, topics[_SMALL_TOPIC], made, SMALL, "300 bytes"),
                _plain(producer, topics[_LARGE_TOPIC], made, LARGE, "21 kB"),
                _delivered(outbox, _SMALL_TOPIC, made, SMALL, "300 bytes"),
                _delivered(outbox, _LARGE_TOPIC, made, LARGE, "21 kB"),
                _row_written(rows),
                _announced(tools),
            ]


class _Faust:
    """Faust's producer as streams/engine.py has it: the guard, then straight to aiokafka."""

    def __init__(self, producer: AIOKafkaProducer, clock: Clock) -> None:
        self._producer = producer
        self._guard = Guard(_SESSION_S, clock.monotonic)
        self._guard.beat()

    async def send(  # noqa: PLR0917 - Faust's own order
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
    ) -> Awaitable[Any]:
        """Send, unless this worker may be a zombie."""
        del timestamp
        self._guard.check()
        try:
            sending: Awaitable[Any] = await self._producer.send(
                topic, value, key=key, partition=partition, headers=headers
            )
        except KafkaError as error:
            raise ProducerSendError(type(error).__name__) from error
        return sending


class _StandIn:
    """What DurableTable uses of a Faust table: stores on disk, opened as Faust opens them.

    A table itself needs a running app. The note of how far a store is (once a second) is left out.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.name = _TABLE
        self.changelog_topic_name = f"{_APP}-{_TABLE}-changelog"
        self.data = self
        options = RocksDBOptions(**STORE_OPTIONS, use_rocksdict=True)
        self._dbs = [options.open(folder / f"{number}.db") for number in range(PARTITIONS)]
        for db in self._dbs:
            stack.callback(db.close)

    def _db_for_partition(self, partition: int) -> Any:
        return self._dbs[partition]


def _plain(
    producer: AIOKafkaProducer, topic: str, made: list[_Message], value: bytes, size: str
) -> Part:
    async def group(numbers: Sequence[int]) -> None:
        sent = []
        for number in numbers:
            key, headers = made[number % _DIFFERENT]
            sent.append(await producer.send(topic, value, key=key, headers=headers))
        for one in sent:
            await one

    return Part(f"aiokafka: a message of {size} sent and acknowledged", group)


def _delivered(outbox: Outbox, topic: str, made: list[_Message], value: bytes, size: str) -> Part:
    async def one(number: int) -> None:
        key, headers = made[number % _DIFFERENT]
        await outbox.deliver(topic, key, value, headers)

    return calls(f"Outbox.deliver: the same of {size}", one)


def _row_written(table: DurableTable[ScanRow]) -> Part:
    """Write one row under many keys: its JSON, the local store and the changelog."""
    scan = ScanIdentity(record_id=1, device_id="mri-0001", request_id="request-1", job_id=1)
    row = ScanRow(
        scan=scan,
        state=ScanState.READY,
        times={ScanState.ACCEPTED: 1_700_000_000_000, ScanState.READY: 1_700_000_000_100},
        heard=1,
        seen_ms=1_700_000_000_100,
    )

    async def group(numbers: Sequence[int]) -> None:
        writes = [table.put(number % PARTITIONS, str(number), row) for number in numbers]
        for write in writes:
            await write.durable()

    return Part("DurableTable: a ScanRow put and durable", group)


def _announced(tools: Tools) -> Part:
    async def one(number: int) -> None:
        event = changed(ScanState.READY, ScanState.ACCEPTED, str(number), attempt=1)
        await tools.announce(
            [event],
            key=str(number),
            request_id=f"request-{number}",
            job_id=number,
            record_id=number,
            device_id="mri-0001",
        )

    return calls("Tools.announce: a ScanEvent made, sent and acknowledged", one)


def _tools(outbox: Outbox, clock: Clock) -> Tools:
    metrics = Metrics()
    return Tools(
        settings=Settings.from_environment({}),
        partitions=PARTITIONS,
        clock=clock,
        guard=Guard(_SESSION_S, clock.monotonic),
        outbox=outbox,
        dead_letters=DeadLetters(outbox, clock, metrics),
        managers=cast("Any", SimpleNamespace()),  # announcing asks nobody
        lake=cast("Any", None),
        files=Pool(1, _fatal),
        metrics=metrics,
        draining=lambda: False,
    )


def _fatal(error: BaseException) -> NoReturn:
    raise error
