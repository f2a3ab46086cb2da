"""The end of a scan: durable before it is announced, and announced also if the worker dies then."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from uuid import UUID

import pytest

from agents.record.state import WorkKind
from models import wire
from models.events import EventKind, ScanState
from models.steps import DeviceStep, DeviceStepKind
from settings import RecoDialect
from streams.inbound import Inbound
from tests.unit.test_device_bench import Death
from tests.unit.test_record_bench import RecordBench

S = ScanState
FOREIGN = str(UUID(int=5))


async def _status(bench: RecordBench) -> Inbound:
    return bench.status("FAILED")


async def _device(bench: RecordBench) -> Inbound:
    return bench.told(S.FAILED)


async def _refusal(bench: RecordBench) -> Inbound:
    bench.sent_to_reconstruction()
    return bench.result(success=False)


@dataclass(frozen=True)
class Way:
    """How a scan comes to its end: from where, by which message, to which state."""

    start: ScanState
    last: Callable[[RecordBench], Awaitable[Inbound]]
    end: ScanState = S.FAILED

    def bench(self) -> RecordBench:
        """Give a bench on which the scan is about to end."""
        if self.last is RecordBench.upload:
            return RecordBench(FOREIGN, reco_dialect=RecoDialect.UPSTREAM)
        return RecordBench()


WAYS = {
    "a status": Way(S.STARTED, _status),
    "a status, unknown": Way(S.UNKNOWN, _status),
    "the device's aggregate": Way(S.READY, _device),
    "a reconstruction that failed": Way(S.RECONSTRUCTING, _refusal),
    "an image": Way(S.RECONSTRUCTING, RecordBench.reconstructed, S.COMPLETED),
    "an image, unknown": Way(S.UNKNOWN, RecordBench.reconstructed, S.COMPLETED),
    "raw data that nobody can reconstruct": Way(S.RUNNING, RecordBench.upload),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


async def about_to_end(way: Way) -> tuple[RecordBench, Inbound]:
    bench = way.bench()
    bench.put(way.start, attempt=1)
    return bench, await way.last(bench)


async def die_before_it_is_announced(bench: RecordBench, last: Inbound) -> None:
    bench.producer.dies_at = wire.SCAN_EVENTS
    with pytest.raises(Death):
        await bench.agent.handle(last)
    bench.restart()


@each_way
async def test_a_worker_that_dies_before_it_announces_an_end_announces_it_later(way: Way) -> None:
    whole, last = await about_to_end(way)
    await whole.agent.handle(last)

    bench, last = await about_to_end(way)
    await die_before_it_is_announced(bench, last)
    await bench.agent.handle(last)
    await bench.agent.handle(last)

    assert bench.row() == whole.row()
    assert bench.row().state is way.end
    assert [e.event_id for e in bench.events()] == [e.event_id for e in whole.events()]
    assert bench.events(EventKind.LATE) == []
    assert bench.items.rows.keys() == whole.items.rows.keys()
    assert {one.value for one in bench.sent(wire.RECO_JOBS)} == {
        one.value for one in whole.sent(wire.RECO_JOBS)
    }


@each_way
async def test_an_end_that_only_this_workers_store_has_is_written_again(way: Way) -> None:
    # The worker and the broker died together: the row is here, and its changelog never got it.
    bench, last = await about_to_end(way)
    await die_before_it_is_announced(bench, last)
    bench.scans.writes.clear()
    await bench.agent.handle(last)
    assert [row.state for _, row in bench.scans.writes if row is not None][:1] == [way.end]


@each_way
async def test_another_end_that_comes_first_after_the_crash_is_late(way: Way) -> None:
    bench, last = await about_to_end(way)
    await die_before_it_is_announced(bench, last)
    await bench.agent.handle(bench.status("ABORTED", offset=77))
    await bench.agent.handle(last)

    ends = [e.state for e in bench.events(EventKind.STATE_CHANGED) if e.state and e.state.final]
    assert ends == [way.end]
    assert bench.row().state is way.end
    assert len(bench.events(EventKind.LATE)) == 1


async def test_an_image_that_comes_again_after_another_end_is_late_and_told_to_nobody() -> None:
    bench = RecordBench()
    bench.put(S.RECONSTRUCTING, attempt=1)
    last = await bench.reconstructed()
    real = bench.scans.put

    def dying(*_: object) -> None:
        raise Death

    bench.scans.put = dying  # type: ignore[method-assign,assignment]
    with pytest.raises(Death):
        await bench.agent.handle(last)
    bench.scans.put = real  # type: ignore[method-assign]
    bench.restart()
    await bench.agent.handle(bench.status("FAILED"))
    await bench.agent.handle(last)

    assert [e.state for e in bench.events(EventKind.STATE_CHANGED)] == [S.FAILED]
    assert len(bench.events(EventKind.LATE)) == 1
    assert bench.open(WorkKind.TELL) == []


async def test_who_only_says_that_it_is_the_one_that_ended_the_scan_changes_nothing() -> None:
    bench = RecordBench()
    bench.put(S.RECONSTRUCTING, attempt=1)
    bench.sent_to_reconstruction()
    last = bench.result(success=False)
    await bench.agent.handle(last)
    end = bench.row()
    for forged in (bench.status("RUNNING"), bench.status("ABORTED")):
        headers = ((wire.REROUTED_FROM, last.here.encode()),)
        await bench.agent.handle(replace(forged, headers=headers))
    assert bench.row() == end
    assert len(bench.events(EventKind.STATE_CHANGED)) == 1


async def test_an_end_stands_even_if_other_settings_would_now_go_on() -> None:
    way = WAYS["raw data that nobody can reconstruct"]
    bench, last = await about_to_end(way)
    await die_before_it_is_announced(bench, last)
    bench.settings = bench.settings.model_copy(update={"reco_dialect": RecoDialect.OWN})
    bench.restart()
    await bench.agent.handle(last)
    assert bench.row().state is S.FAILED


async def test_what_is_no_end_is_announced_before_its_row() -> None:
    bench = RecordBench()
    bench.put(S.STARTED, attempt=1)
    await die_before_it_is_announced(bench, bench.status("RUNNING"))
    assert bench.row().state is S.STARTED
    await bench.agent.handle(bench.status("RUNNING"))
    assert bench.row().state is S.RUNNING
    assert [e.state for e in bench.events(EventKind.STATE_CHANGED)] == [S.RUNNING]


async def test_a_late_file_is_late_also_when_it_is_registered_again() -> None:
    bench = RecordBench()
    bench.put(S.FAILED, attempt=1)
    last = await bench.upload()
    await die_before_it_is_announced(bench, last)
    await bench.agent.handle(last)
    assert [e.event for e in bench.events()] == [EventKind.LATE]
    assert bench.sent(wire.RECO_JOBS) == []


EVIDENCE: dict[str, Callable[[RecordBench], Awaitable[Inbound]]] = {
    "a status": _status,
    "raw data": RecordBench.upload,
    "an image": RecordBench.reconstructed,
    "a reconstruction that failed": _refusal,
}


@pytest.mark.parametrize("come", EVIDENCE.values(), ids=EVIDENCE)
async def test_what_comes_of_an_unknown_scan_tells_its_device_that_it_was_started(
    come: Callable[[RecordBench], Awaitable[Inbound]],
) -> None:
    bench = RecordBench()
    bench.put(S.UNKNOWN, attempt=3)
    await bench.agent.handle(await come(bench))
    assert bench.row().state is not S.UNKNOWN
    told = [DeviceStep.from_bytes(one.value or b"") for one in bench.sent(wire.DEVICE_STEPS)]
    assert [
        (one.kind, one.device_id, one.request_id, one.attempt, one.started) for one in told
    ] == [(DeviceStepKind.CONFIRMED, "d", "r-1", 3, True)]


async def test_what_the_devices_aggregate_says_is_not_told_back_to_it() -> None:
    bench = RecordBench()
    bench.put(S.UNKNOWN, attempt=3)
    await bench.agent.handle(bench.told(S.STARTED, attempt=3))
    assert bench.row().state is S.STARTED
    assert bench.sent(wire.DEVICE_STEPS) == []
