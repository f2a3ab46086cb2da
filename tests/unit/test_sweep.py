"""The sweep: bounded, from where it stopped, on owned partitions only, and told to the owners."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest
from rocksdict import Options, Rdict

from agents.device.state import RequestRow, request_key
from agents.record.state import ScanRow
from agents.sweep import AGAIN_S, FIRST_S, MOST_OTHERS, MOST_REQUESTS, Sweep, make_shelves, pause_s
from agents.tools import Tools
from agents.workflow.state import WorkflowRow
from models import wire
from models.base import Message
from models.events import ScanState
from models.steps import DeviceStep, DeviceStepKind, RecordStep, RecordStepKind
from models.work import WorkRow
from models.workflow import RunState
from settings import Settings
from streams.tables import DurableTable
from streams.walk import walk
from tests.unit.test_expiry import DAY, IDENTITY, request
from tests.unit.test_streams_fakes import NOON_MS, FakeProducer, HandClock, MemoryTable, make_outbox

RowT = TypeVar("RowT", bound=Message)
OLD_MS = NOON_MS - 100 * DAY * 1000


class OwnedTable(MemoryTable[RowT]):
    """A table of which some partitions are this worker's."""

    owned = frozenset(range(8))

    def owns(self, partition: int) -> bool:
        return partition in self.owned


def walk_memory(
    table: MemoryTable[RowT], partition: int, after: str | None
) -> Iterator[tuple[str, RowT]]:
    """As streams/walk.py; the test below compares the two."""
    for (place, key), value in sorted(table.rows.items()):
        if place == partition and (after is None or key > after):
            yield key, table._model.from_bytes(value)


class SweepBench:
    """A sweep over tables, outbox and clock that a test holds in its hand."""

    def __init__(self, **settings: Any) -> None:
        self.clock, self.producer = HandClock(), FakeProducer()
        self.requests, self.scans = OwnedTable(RequestRow), OwnedTable(ScanRow)
        self.workflows = OwnedTable(WorkflowRow)
        self.owned = True
        given = Settings(**settings)
        tools = SimpleNamespace(
            clock=self.clock,
            outbox=make_outbox(self.producer, self.clock),
            partitions=8,
            settings=given,
        )
        tables: dict[str, DurableTable[Any]] = {
            "requests": self.requests,
            "scans": self.scans,
            "workflows": self.workflows,
        }
        self.sweep = Sweep(
            cast("Tools", tools),
            make_shelves(given, tables),
            owned=lambda: self.owned,
            walk=walk_memory,
        )

    def fill(self, count: int, partition: int = 3, device: str = "d") -> None:
        for number in range(count):
            row = request(ScanState.STARTED, OLD_MS)
            job = row.job.model_copy(update={"device_id": device})
            row = row.model_copy(update={"request_id": f"r-{number:03}", "job": job})
            self.requests.put(partition, request_key(device, row.request_id), row)

    async def one_pass(self, ticks: int = 100) -> None:
        for _ in range(ticks):
            await self.sweep.tick()

    def forgotten(self) -> list[str]:
        steps = [DeviceStep.from_bytes(s.value or b"") for s in self.producer.on(wire.DEVICE_STEPS)]
        assert all(step.kind is DeviceStepKind.EXPIRE for step in steps)
        return [request_id for step in steps for request_id in step.requests]


async def test_a_pass_begins_a_while_after_a_recovery_and_again_each_hour() -> None:
    bench = SweepBench()
    bench.fill(1)
    await bench.one_pass()
    bench.sweep.recovered()
    bench.clock.move(FIRST_S - 1)
    await bench.one_pass()
    assert bench.forgotten() == []
    bench.clock.move(1)
    await bench.one_pass()
    assert bench.forgotten() == ["r-000"]
    bench.clock.move(AGAIN_S - 1)
    await bench.one_pass()
    assert len(bench.forgotten()) == 1
    bench.clock.move(1)
    await bench.one_pass()
    assert len(bench.forgotten()) == 2, "its owner kept it: it is told again"


async def test_each_tick_tells_of_a_few_and_goes_on_where_it_stopped() -> None:
    bench = SweepBench()
    bench.fill(50)
    bench.sweep.recovered()
    bench.clock.move(FIRST_S)
    sizes = []
    while len(bench.forgotten()) < 50:
        before = len(bench.forgotten())
        await bench.sweep.tick()
        sizes.append(len(bench.forgotten()) - before)
        assert len(sizes) < 100
    assert max(sizes) == MOST_REQUESTS
    await bench.one_pass()
    assert bench.forgotten() == [f"r-{n:03}" for n in range(50)], "each once"
    assert bench.requests.writes[50:] == [], "the sweep deletes nothing itself"


async def test_the_time_of_a_slice_is_bounded() -> None:
    bench = SweepBench()
    bench.fill(10)

    def slow(*given: Any) -> Iterator[tuple[str, Any]]:
        for key, row in walk_memory(*given):
            bench.clock.move(0.003)
            yield key, row

    bench.sweep._walk = slow
    bench.sweep.recovered()
    bench.clock.move(FIRST_S)
    while not bench.forgotten():
        await bench.sweep.tick()
    assert len(bench.forgotten()) == 1


async def test_the_rows_of_a_device_go_in_one_step_and_of_others_in_their_own() -> None:
    bench = SweepBench()
    bench.fill(3, device="a")
    bench.fill(3, device="b")
    bench.sweep.recovered()
    bench.clock.move(FIRST_S)
    await bench.one_pass()
    sent = bench.producer.on(wire.DEVICE_STEPS)
    assert [one.key for one in sent] == [b"a", b"b"]
    assert [len(DeviceStep.from_bytes(one.value or b"").requests) for one in sent] == [3, 3]


async def test_nothing_is_read_of_partitions_that_are_not_owned() -> None:
    bench = SweepBench()
    bench.fill(3, partition=3)
    bench.requests.owned = frozenset({1, 2})
    bench.sweep.recovered()
    bench.clock.move(FIRST_S)
    await bench.one_pass()
    bench.owned = False
    bench.requests.owned = frozenset({3})
    bench.clock.move(AGAIN_S)
    await bench.one_pass()
    assert bench.forgotten() == []
    bench.owned = True
    bench.sweep.recovered()
    bench.clock.move(FIRST_S)
    await bench.one_pass()
    assert len(bench.forgotten()) == 3


async def test_scans_and_workflows_are_told_one_by_one() -> None:
    bench = SweepBench()
    for number in range(2 * MOST_OTHERS):
        scan = IDENTITY.model_copy(update={"record_id": number})
        row = ScanRow(scan=scan, state=ScanState.FAILED, ended_ms=OLD_MS)
        bench.scans.put(1, str(number), row)
    bench.scans.put(1, "99", ScanRow(scan=IDENTITY, state=ScanState.RUNNING, seen_ms=OLD_MS))
    bench.workflows.put(2, "5", WorkflowRow(id=5, state=RunState.FAILED, changed_ms=OLD_MS))
    bench.sweep.recovered()
    bench.clock.move(FIRST_S)
    await bench.one_pass()
    told = bench.producer.on(wire.RECORD_STEPS)
    steps = [RecordStep.from_bytes(one.value or b"") for one in told]
    assert {step.kind for step in steps} == {RecordStepKind.EXPIRE}
    assert [str(step.record_id).encode() for step in steps] == [one.key for one in told]
    assert {step.record_id for step in steps} == set(range(2 * MOST_OTHERS))
    assert [one.key for one in bench.producer.on(wire.WORKFLOW_STEPS)] == [b"5"]


@pytest.mark.parametrize(
    ("remember", "keep", "expected"),
    [(14, 90, AGAIN_S), (14, 0, AGAIN_S), (1 / 48, 1, 1800), (0.00001, 0, 1)],
)
def test_short_times_are_looked_for_more_often(
    remember: float, keep: float, expected: float
) -> None:
    given = Settings(remember_requests_days=remember, keep_records_days=keep)
    assert pause_s(given) == pytest.approx(expected)


@pytest.mark.parametrize("after", [None, "a", "a\x00b", "k\x00002", "é", "z"])
def test_the_walk_over_a_real_store_is_that_of_the_twin(tmp_path: Path, after: str | None) -> None:
    twin = MemoryTable(WorkRow)
    db = Rdict(str(tmp_path / "db"), Options(raw_mode=True))
    for number, key in enumerate(["a", "a\x00", "a\x00b", "k\x00001", "k\x00002", "k\x00003", "é"]):
        row = WorkRow(version=number)
        twin.put(0, key, row)
        db.put(key.encode(), row.to_bytes())
    offset_key = b"__faust\0offset__"
    db.put(offset_key, b"17")
    real = SimpleNamespace(
        _db=lambda _: db,
        _model=WorkRow,
        _table=SimpleNamespace(data=SimpleNamespace(offset_key=offset_key)),
    )
    found = list(walk(cast("DurableTable[WorkRow]", real), 0, after))
    assert found == list(walk_memory(twin, 0, after))
    db.close()
