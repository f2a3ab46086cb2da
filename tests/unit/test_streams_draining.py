"""Before partitions go: windows are empty, and what tables write is at the broker."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

import streams.engine as module
from agents.runtime import TABLES, Runtime
from models.work import WorkRow
from settings import Settings
from streams.engine import App
from streams.guard import Guard
from streams.tables import DurableTable
from streams.topics import Topics
from tests.unit.test_device_bench import Death, die_with
from tests.unit.test_streams_fakes import FakeProducer, HandClock, make_outbox, settle_loop


class Slow(FakeProducer):
    """Acknowledges when it is told to."""

    def __init__(self) -> None:
        super().__init__(silent=True)
        self.open: list[asyncio.Future[Any]] = []

    async def send(self, *arguments: Any) -> Any:
        future = await super().send(*arguments)
        self.open.append(cast("Any", future))
        return future

    def acknowledge(self) -> None:
        for future in self.open:
            future.set_result(SimpleNamespace(offset=3, timestamp=1, timestamp_type=0))


class Store:
    """What a DurableTable needs of a Faust table and its rocksdb."""

    name = "rows"
    changelog_topic_name = "app-rows-changelog"

    def __init__(self) -> None:
        self.data = self
        self.rows: dict[bytes, bytes] = {}
        self.persisted: list[int] = []
        self.app = SimpleNamespace(
            assignor=SimpleNamespace(assigned_actives=lambda: {TP(self.changelog_topic_name, 1)})
        )

    def _db_for_partition(self, _: int) -> Any:
        return SimpleNamespace(put=self.rows.__setitem__, get=self.rows.get)

    def set_persisted_offset(self, _: Any, offset: int) -> None:
        self.persisted.append(offset)


def make_app(*tables: DurableTable[Any]) -> Any:
    """Give what App.drain needs of an app."""
    suspended: list[bool] = []
    guard = SimpleNamespace(suspend=lambda: suspended.append(True))
    return SimpleNamespace(
        windows=[], durables=list(tables), guard=guard, on_drained=None, suspended=suspended,
        forget_kept=lambda: None,
    )  # fmt: skip


def make_table(producer: FakeProducer) -> tuple[DurableTable[WorkRow], Store]:
    store = Store()
    return DurableTable(store, WorkRow, make_outbox(producer), die_with_error), store


def die_with_error(error: BaseException) -> None:
    raise error


async def test_a_write_that_nobody_awaits_is_durable_before_partitions_go() -> None:
    producer = Slow()
    table, store = make_table(producer)
    app = make_app(table)
    table.put(0, "k", WorkRow())
    draining = asyncio.create_task(App.drain(app))
    await settle_loop()
    assert not draining.done(), (
        "a commit now would pass a message whose row is not in the changelog"
    )
    assert app.suspended == []
    producer.acknowledge()
    await draining
    assert store.persisted == [3]
    assert app.suspended == [True]


async def test_a_write_that_does_not_end_in_time_ends_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "DRAIN_S", 0.01)
    monkeypatch.setattr(module, "stop_now", die_with)
    producer = Slow()
    table, _ = make_table(producer)
    table.put(0, "k", WorkRow())
    with pytest.raises(Death):
        await App.drain(make_app(table))
    producer.acknowledge()
    assert await table.drain(1) is True


async def test_a_write_that_can_not_even_be_begun_ends_the_worker() -> None:
    class Closed(FakeProducer):
        async def send(self, *_: Any) -> Any:
            raise AssertionError("Unrecognized partition")

    died: list[BaseException] = []
    table = DurableTable(Store(), WorkRow, make_outbox(Closed()), died.append)
    table.put(0, "k", WorkRow())
    await settle_loop()
    assert len(died) == 1, "the store has a row that the changelog lacks"


async def test_nothing_is_waited_for_where_nothing_is_written() -> None:
    table, _ = make_table(FakeProducer())
    await table.put(0, "k", WorkRow()).durable()
    assert await table.drain(0) is True


def test_a_partition_is_owned_while_it_is_assigned() -> None:
    table, _ = make_table(FakeProducer())
    assert [table.owns(partition) for partition in (0, 1)] == [False, True]


async def test_all_tables_of_a_worker_are_waited_for() -> None:
    clock = HandClock()
    app = App("app", guard=Guard(10, clock.monotonic, die_with), store="rocksdb://")
    Runtime(app, Settings(), Topics(), clock, lambda: cast("Any", None))
    assert sorted(table.name for table in app.durables) == sorted(TABLES)
