"""In-memory twins that the unit tests share, and proof that they behave as the real parts do."""

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, TypeVar

from aiokafka.errors import MessageSizeTooLargeError

from models import wire
from models.base import Message
from models.work import WorkRow
from streams.clock import Clock
from streams.inbound import Headers, Inbound
from streams.outbox import Outbox
from streams.tables import DurableTable, Write
from streams.topics import Topics

RowT = TypeVar("RowT", bound=Message)
NOON_MS = 1_700_000_000_000


class HandClock(Clock):
    """A clock that stands still until a test moves it."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        super().__init__()
        self.now_ms = now_ms

    def move(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)

    def monotonic(self) -> float:
        return self.now_ms / 1000

    def wall(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms / 1000, UTC)

    def broker_ms(self) -> int:
        return self.now_ms


@dataclass
class Sent:
    """A message as the producer got it."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None
    headers: list[tuple[str, bytes | None]]

    @property
    def header(self) -> dict[str, bytes | None]:
        return dict(self.headers)


@dataclass
class FakeProducer:
    """Takes messages; acknowledges each at once, or as `error` or `limit` tell."""

    sent: list[Sent] = field(default_factory=list)
    refused: list[Sent] = field(default_factory=list)
    limit: int | None = None
    error: BaseException | None = None
    silent: bool = False
    timestamp_ms: int = NOON_MS
    log_append_time: bool = False

    async def send(  # noqa: PLR0917 - Faust's own order
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
    ) -> Awaitable[Any]:
        assert timestamp is None
        assert key is not None or value is not None, "aiokafka refuses a message without both"
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        one = Sent(topic, key, value, partition, list(headers))
        error = self.error
        if self.limit is not None and len(value or b"") > self.limit:
            error = MessageSizeTooLargeError()
        if error is not None:
            self.refused.append(one)
            future.set_exception(error)
            return future
        self.sent.append(one)
        if not self.silent:
            metadata = {"offset": len(self.sent) - 1, "timestamp": self.timestamp_ms}
            future.set_result(SimpleNamespace(**metadata, timestamp_type=int(self.log_append_time)))
        return future

    def on(self, topic: str) -> list[Sent]:
        """Give what was sent to a topic."""
        return [one for one in self.sent if one.topic == topic]


def make_outbox(producer: FakeProducer, clock: Clock | None = None) -> Outbox:
    """Make an outbox over a fake producer, with 8 partitions and the default names."""
    return Outbox(lambda: producer, Topics(), clock or HandClock())


class FakeWrite(Write):
    """A write that is durable at once, or when the table's gate opens."""

    def __init__(self, table: "MemoryTable[Any]") -> None:
        self._of = table

    async def durable(self) -> int:
        await self._of.gate.wait()
        return self._of.clock.broker_ms()


class MemoryTable(DurableTable[RowT]):
    """Rows as bytes in a dict, as a store holds them; `lives_on` gives what a restart finds."""

    def __init__(self, model: type[RowT], clock: Clock | None = None) -> None:
        self._model = model
        self.clock = clock or HandClock()
        self.rows: dict[tuple[int, str], bytes] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.writes: list[tuple[str, RowT | None]] = []
        self.walks = 0

    def lives_on(self) -> "MemoryTable[RowT]":
        """Give the table as a worker finds it after a restart: the same rows, nothing else."""
        again = MemoryTable(self._model, self.clock)
        again.rows = dict(self.rows)
        return again

    def get(self, partition: int, key: str) -> RowT | None:
        raw = self.rows.get((partition, key))
        return None if raw is None else self._model.from_bytes(raw)

    def put(self, partition: int, key: str, row: RowT) -> Write:
        self.writes.append((key, row))
        self.rows[partition, key] = row.to_bytes()
        return FakeWrite(self)

    def delete(self, partition: int, key: str) -> Write:
        self.writes.append((key, None))
        self.rows.pop((partition, key), None)
        return FakeWrite(self)

    def items(self) -> Iterator[tuple[int, str, RowT]]:
        self.walks += 1
        for (partition, key), value in sorted(self.rows.items(), reverse=True):
            yield partition, key, self._model.from_bytes(value)


def make_inbound(
    value: bytes | None = b"{}",
    *,
    topic: str = wire.SCAN_JOBS,
    partition: int = 0,
    offset: int = 7,
    key: bytes | None = None,
    timestamp_ms: int = NOON_MS,
    headers: Headers = (),
) -> Inbound:
    """Make a message as it came in."""
    return Inbound(
        topic=topic,
        partition=partition,
        offset=offset,
        key=key,
        value=value,
        timestamp_ms=timestamp_ms,
        headers=headers,
    )


async def settle_loop() -> None:
    """Let everything run that can run without anything happening outside."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_the_memory_table_gives_back_what_was_written_and_keeps_it_over_a_restart() -> None:
    table = MemoryTable(WorkRow)
    row = WorkRow(due_ms=5, version=2)
    table.put(1, "k", row)
    table.put(1, "gone", row)
    table.delete(1, "gone")
    assert table.get(1, "k") == row
    assert table.get(0, "k") is None
    assert list(table.lives_on().items()) == [(1, "k", row)]


async def test_a_fake_write_is_durable_only_when_the_gate_is_open() -> None:
    table = MemoryTable(WorkRow)
    table.gate.clear()
    waiting = asyncio.ensure_future(table.put(0, "k", WorkRow()).durable())
    await settle_loop()
    assert not waiting.done()
    table.gate.set()
    assert await waiting == NOON_MS
