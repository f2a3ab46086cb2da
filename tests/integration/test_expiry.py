"""Old entries expire on a real broker: what is over goes from the changelogs, what waits stays."""

import time
from uuid import uuid4

from models import wire
from tests.integration.conftest import BuildHouse
from tests.integration.history import History, Seen
from tests.integration.house import House, scan_job
from tests.integration.test_bad_messages import finish
from tests.integration.test_confirm import unknown

TABLES = ("requests", "scans", "result-files", "result-index")
TWO_S = "0.00002"
"""In days."""


def live(changelogs: History, table: str, part: str) -> list[bytes]:
    """Give the keys with a part that a changelog holds now."""
    last: dict[bytes, bytes | None] = {}
    for seen in changelogs.messages[f"{table}-changelog"]:
        last[seen.key or b""] = seen.value
    return [key for key, value in last.items() if value is not None and part.encode() in key]


def tombstones(changelogs: History, request: str) -> list[Seen]:
    return [
        seen
        for seen in changelogs.messages["requests-changelog"]
        if seen.value is None and request.encode() in (seen.key or b"")
    ]


async def too_old(house: House) -> str:
    """Send a job that is HELD, as it came long ago; gives its request."""
    request, hour_ago = uuid4().hex, int(time.time() * 1000) - 3_600_000
    headers = {"request-id": request, wire.REROUTED_TIME: str(hour_ago)}
    await house.history.produce(wire.SCAN_JOBS, scan_job("mri-1"), key="mri-1", headers=headers)
    await house.history.reaches(request, "HELD")
    return request


async def test_what_is_over_expires_and_what_waits_for_a_person_does_not(
    make_house: BuildHouse,
) -> None:
    house = await make_house(
        SCANHUB_REMEMBER_REQUESTS_DAYS=TWO_S,
        SCANHUB_KEEP_RECORDS_DAYS=TWO_S,
        SCANHUB_SCANS_PER_DEVICE="1",
    )
    await house.furnish("mri-1", "mri-2")
    names = [f"{table}-changelog" for table in TABLES]
    async with History(house.kafka.bootstrap, f"{house.prefix}app-", names) as changelogs:
        lost, lost_record = await unknown(house, "mri-2")
        held = await too_old(house)
        request, record = await finish(house)

        def is_gone() -> bool:
            parts = {"requests": request, "scans": str(record)}
            found = [live(changelogs, t, parts.get(t, f"{record}\x00")) for t in TABLES]
            return len(tombstones(changelogs, request)) == 1 and not any(found)

        await changelogs.until(is_gone, what="the scan and its request are forgotten")
        code, said = await house.command("status", str(record))
        assert code == 3, said
        late = {"record_id": record, "status_percent": 99}
        mark = uuid4().hex
        await house.history.produce(wire.SCAN_STATUS, late, key=str(record), headers={"mark": mark})

        again = {"request-id": request}
        await house.history.produce(wire.SCAN_JOBS, scan_job("mri-1"), key="mri-1", headers=again)
        await changelogs.until(
            lambda: len(tombstones(changelogs, request)) == 2,
            what="the same request was a new job, and is forgotten as well",
        )
        mine = [one for one in await house.records() if request in (one["comment"] or "")]
        started = [str(start["record_id"]) for start in house.starts("mri-1")]
        assert len(mine) == 2
        assert sorted(started) == sorted(str(one["id"]) for one in mine)
        letter = await house.history.marked(mark)
        assert letter.header["scanhub.cause"] == "unknown-record"

        assert live(changelogs, "requests", lost) == [f"mri-2\x00{lost}".encode()]
        assert live(changelogs, "requests", held) == [f"mri-1\x00{held}".encode()]
        assert live(changelogs, "scans", str(lost_record))
        assert house.history.states(lost)[-1] == "UNKNOWN"
        assert house.history.states(held)[-1] == "HELD"
