"""UNKNOWN scans, settled by a person; spare records, closed."""

from uuid import uuid4

from models import wire
from tests.integration.house import House, scan_job
from tests.integration.test_managers_away import ask, of


async def unknown(house: House, device: str) -> tuple[str, int]:
    """Make a scan UNKNOWN whose START was not taken; gives its request and record."""
    await house.knobs(device, drop_before=1)
    request = await ask(house, device, 71)
    await house.history.reaches(request, "UNKNOWN")
    return request, house.history.event(request, "UNKNOWN")["record_id"]


async def test_not_started_sends_it_once(fragile: House) -> None:
    request, record = await unknown(fragile, "mri-1")

    code, said = await fragile.command("confirm", str(record), "not-started")

    assert code == 0, said
    states = await fragile.history.reaches(request, "COMPLETED")
    after = states[states.index("UNKNOWN") + 1 :]
    assert after[:2] == ["READY", "STARTING"]
    starts = [s for s in fragile.starts("mri-1") if str(s["record_id"]) == str(record)]
    assert len(starts) == 1
    code, said = await fragile.command("confirm", str(record), "not-started")
    assert code == 1
    assert "COMPLETED" in said


async def test_a_second_confirmation_of_one_attempt_changes_nothing(fragile: House) -> None:
    request, record = await unknown(fragile, "mri-1")
    command = {
        "command": "CONFIRM", "device_id": "mri-1", "record_id": record, "attempt": 1,
        "started": False,
    }  # fmt: skip
    ids = [uuid4().hex, uuid4().hex]
    for command_id in ids:
        await fragile.history.produce(
            wire.SCAN_COMMANDS, {**command, "command_id": command_id}, key="mri-1"
        )
    await fragile.history.reaches(request, "COMPLETED")
    await fragile.history.until(
        lambda: len([
            e for e in fragile.history.events
            if e["event"] == "COMMAND_ANSWERED" and e.get("record_id") == record
        ]) == 2,
        what="both are answered",
    )  # fmt: skip
    starts = [s for s in fragile.starts("mri-1") if str(s["record_id"]) == str(record)]
    assert len(starts) == 1


async def test_started_goes_on_with_its_statuses(fragile: House) -> None:
    await fragile.knobs("mri-1", hang_after=1, silent=True, upload=False)
    request = await ask(fragile, "mri-1", 72)
    await fragile.history.reaches(request, "UNKNOWN")
    record = fragile.history.event(request, "UNKNOWN")["record_id"]
    code, said = await fragile.command("confirm", str(record), "started")
    assert code == 0, said
    assert (await fragile.history.reaches(request, "STARTED"))[-1] == "STARTED"
    await fragile.history.produce(
        wire.SCAN_STATUS, {"record_id": record, "status_percent": 40}, key=str(record)
    )
    await fragile.history.reaches(request, "RUNNING")
    starts = [s for s in fragile.starts("mri-1") if str(s["record_id"]) == str(record)]
    assert len(starts) == 1
    await fragile.knobs("mri-1")


async def test_a_spare_record_is_closed_at_the_end_and_announced(fragile: House) -> None:
    """A late POST makes a second record after the job's records were listed and one was adopted."""
    rules = [{"method": "POST", "path": "*/record", "latency_ms": 3000}]
    await fragile.knobs("exam", rules=rules)
    request = uuid4().hex
    job = scan_job("mri-2", 73)
    await fragile.history.produce(wire.SCAN_JOBS, job, key="mri-2", headers={"request-id": request})
    await fragile.history.reaches(request, "WAITING")
    await fragile.knobs("exam")
    await fragile.history.reaches(request, "COMPLETED")
    await fragile.history.until(
        lambda: [
            e for e in fragile.history.events
            if e["event"] == "CONFLICT" and e.get("request_id") == request
        ],
        what="the spare is announced",
    )  # fmt: skip
    [left] = of(await fragile.records(), request)
    assert left["id"] == fragile.history.event(request, "COMPLETED")["record_id"]
