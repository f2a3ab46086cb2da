"""Random messages on every input topic: no crash, no stuck partition, every one accounted for."""

from models import wire
from sandbox.chaos.fuzz.inputs import make_inputs
from sandbox.chaos.fuzz.phase import fuzz
from tests.integration.conftest import BuildHouse
from tests.integration.house import House, scan_job

COUNT = 1_500
SEED = 20261125
PARTITIONS = 4


async def test_nothing_that_a_sender_writes_stops_a_partition(make_house: BuildHouse) -> None:
    house: House = await make_house()
    await house.furnish("mri-1", scan_seconds=0.05)
    fuzzed = await fuzz(
        house.kafka.bootstrap, house.prefix, PARTITIONS,
        make_inputs(SEED, COUNT, ["mri-1"], PARTITIONS), group=f"{house.prefix}app", settle_s=60,
    )  # fmt: skip

    assert fuzzed.problems == []
    assert fuzzed.count == COUNT
    assert sum(fuzzed.ends.values()) == COUNT
    assert {"dead letters", "jobs at an end", "events", "answers"} <= fuzzed.ends.keys()
    assert house.workers["w1"].running
    # A good job goes through behind it, on each partition.
    requests = [f"after-{number}" for number in range(8)]
    for number, request in enumerate(requests):
        await house.history.produce(
            wire.SCAN_JOBS, scan_job("mri-1", 900 + number), key="mri-1",
            partition=number % PARTITIONS, headers={"request-id": request},
        )  # fmt: skip
    for request in requests:
        await house.history.reaches(request, "COMPLETED", timeout_s=60)
