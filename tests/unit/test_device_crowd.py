"""A crowd of jobs for one device: lined up without waiting for the broker, and nothing of it is lost."""

from models.errors import TransientError
from models.events import ScanState
from tests.unit.test_device_bench import Bench

AWAY = TransientError("no route")


async def crowded() -> Bench:
    """Make a device's agent with one job parked."""
    bench = Bench()
    bench.managers.errors["sequence"] = [AWAY] * 9
    rest = await bench.agent.handle(bench.job("r-1", offset=1))
    assert rest is None
    return bench


def told(bench: Bench, request: str) -> list[tuple[str, str | None]]:
    """Give ids and states of what was announced of a request, in order."""
    return [(one.event_id, one.state) for one in bench.events() if one.request_id == request]


async def test_a_job_behind_others_is_in_its_place_before_the_broker_has_it() -> None:
    bench = await crowded()
    rest = await bench.agent.handle(bench.job("r-2", offset=2))
    assert bench.row("r-2").stage is ScanState.WAITING
    parked = sorted(bench.parked.items(), key=lambda item: item[1])
    assert [row.request_id for _, _, row in parked] == ["r-1", "r-2"]
    assert rest is not None, "the next job of the device need not wait for this one's writes"
    await rest
    assert [state for _, state in told(bench, "r-2")] == [ScanState.ACCEPTED, ScanState.WAITING]
    assert bench.managers.asked.count("sequence") == 1


async def test_a_job_that_was_lined_up_and_not_announced_is_announced_when_it_comes_again() -> None:
    bench = await crowded()
    rest = await bench.agent.handle(bench.job("r-2", offset=2))
    assert rest is not None
    await rest
    before = told(bench, "r-2")
    bench.producer.sent.clear()  # the worker died before the events were out
    bench.restart()
    rest = await bench.agent.handle(bench.job("r-2", offset=2))
    if rest is not None:
        await rest
    assert told(bench, "r-2") == before
    assert len(list(bench.parked.items())) == 2


async def test_a_job_that_comes_again_after_its_record_is_accepted_once() -> None:
    bench = Bench()
    for _ in range(2):
        await bench.agent.handle(bench.job())
    accepted = [event_id for event_id, state in told(bench, "r-1") if state == "ACCEPTED"]
    assert len(accepted) == 2
    assert len(set(accepted)) == 1, "consumers drop the second by its id"
