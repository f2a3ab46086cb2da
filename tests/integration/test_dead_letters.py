"""Dead letters in people's hands: listed, shown, replayed, discarded, on a real broker."""

import asyncio
import json
from hashlib import sha256
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer

from models import wire
from tests.integration.history import Seen
from tests.integration.house import House, scan_job
from tests.integration.test_bad_messages import finish

PLANTED = "Mustermann-Planted"


async def dead_letters(house: House, *arguments: str) -> tuple[int, str]:
    return await house.command("dead-letters", *arguments)


async def listed(house: House, *arguments: str) -> dict[str, dict[str, Any]]:
    """What `list --json` shows, by id."""
    code, said = await dead_letters(house, "list", "--json", *arguments)
    assert code == 0, said
    assert PLANTED not in said
    return {letter["id"]: letter for letter in map(json.loads, said.splitlines())}


def id_of(letter: Seen) -> str:
    return f"{letter.partition}-{letter.offset}"


async def marked(house: House, mark: str, *, attempts: int) -> Seen:
    """Wait for the dead letter of a message that was sent with a header `mark`."""
    return await house.history.dead_letter(
        lambda m: m.header.get("mark") == mark and m.header["scanhub.attempts"] == str(attempts),
        what=f"attempt {attempts} of {mark}",
    )


async def test_a_status_is_replayed_once_its_record_exists(house: House) -> None:
    """The next record's id is known beforehand here: integers, one after the other."""
    mark = uuid4().hex
    _, last = await finish(house)
    coming = int(last) + 1
    status = {"record_id": coming, "status_percent": 3, "message": PLANTED}
    await house.history.produce(
        wire.SCAN_STATUS, status, key=str(coming), headers={"mark": mark, "name": PLANTED}
    )
    letter = await marked(house, mark, attempts=1)
    name = id_of(letter)

    found = await listed(house, "--topic", house.prefix + "scan-status", "--since", "1h")
    assert (found[name]["cause"], found[name]["stage"]) == ("unknown-record", "early")
    code, said = await dead_letters(house, "show", name)
    assert code == 0, said
    assert sha256(letter.value or b"").hexdigest() in said
    assert PLANTED not in said
    code, said = await dead_letters(house, "show", name, "--value")
    assert PLANTED in said
    assert "patient data" in said

    _, record = await finish(house)
    assert record == coming
    code, said = await dead_letters(house, "replay", name, "--by", "Ada")
    assert code == 0, said

    def forwarded() -> list[dict[str, Any]]:
        events = [e for e in house.history.events if e.get("record_id") == coming]
        return [e for e in events if e["event"] == "LATE" and e.get("percent") == 3]

    await house.history.until(forwarded, what="the status is forwarded")
    [sent] = [m for m in house.history.messages[wire.SCAN_STATUS]
              if m.header.get("mark") == mark and m.offset != int(
                  letter.header["__streams.errors.offset"])]  # fmt: skip
    ours = [header for header, _ in sent.headers if header.startswith(("__streams", "scanhub"))]
    assert ours == ["scanhub.attempts", "scanhub.first-failed-at"]
    assert (sent.key, sent.value) == (letter.key, letter.value)
    assert sent.header["request-id"] == letter.header["request-id"]
    assert name not in await listed(house)
    assert "replayed" in (await listed(house, "--all"))[name]["settled"]
    code, said = await dead_letters(house, "replay", name)
    assert code == 1
    assert "by Ada" in said


async def test_rubbish_is_listed_and_discarded(house: House) -> None:
    mark = uuid4().hex
    await house.history.produce(
        wire.RESULT_UPLOADS, PLANTED.encode(), key="1", headers={"mark": mark}
    )
    name = id_of(await marked(house, mark, attempts=1))
    filters = ("--topic", "result-uploads", "--cause", "undecodable")
    code, said = await dead_letters(house, "list", *filters)
    assert code == 0, said
    assert f"{name}  " in said
    assert "of result-uploads (undecodable)" in said
    assert PLANTED not in said

    code, said = await dead_letters(house, "discard", *filters)
    assert code == 2
    assert "--yes" in said
    code, said = await dead_letters(house, "discard", *filters, "--yes")
    assert code == 0, said
    assert f"{name}: discarded" in said

    assert await listed(house, *filters) == {}
    assert "discarded" in (await listed(house, *filters, "--all"))[name]["settled"]
    code, said = await dead_letters(house, "discard", "0-99999999")
    assert code == 1
    assert "no such dead letter" in said


async def test_a_scan_job_is_replayed_only_where_its_start_is_meant(house: House) -> None:
    request, _ = await finish(house)
    mark = uuid4().hex
    headers = {"request-id": request, "mark": mark}
    await house.history.produce(wire.SCAN_JOBS, scan_job("mri-1", 98), key="mri-1", headers=headers)
    name = id_of(await marked(house, mark, attempts=1))
    code, said = await dead_letters(house, "replay", name)
    assert code == 2
    assert "--start-scans" in said

    code, said = await dead_letters(house, "replay", name, "--start-scans")
    assert code == 0, said
    again = await marked(house, mark, attempts=2)
    assert again.header["request-id"] == request
    assert again.header["scanhub.cause"] == "invalid"
    assert [header for header, _ in again.headers].count("scanhub.attempts") == 1


async def test_a_replayed_job_is_one_scan_however_often_it_is_replayed(house: House) -> None:
    """A letter as a bug of an older worker may have left it: the job is good."""
    request = uuid4().hex
    ours = {
        "__streams.errors.topic": wire.SCAN_JOBS, "__streams.errors.partition": "0",
        "__streams.errors.offset": "99999", "scanhub.cause": "internal", "scanhub.attempts": "1",
    }  # fmt: skip
    sent = await house.history.produce(
        wire.DEAD_LETTERS, scan_job("mri-2", 97), key="mri-2",
        headers={"request-id": request, **ours},
    )  # fmt: skip
    name = f"{sent.partition}-{sent.offset}"
    code, said = await dead_letters(house, "replay", name, "--start-scans")
    assert code == 0, said
    await house.history.reaches(request, "COMPLETED")
    code, said = await dead_letters(house, "replay", name, "--start-scans", "--all")
    assert code == 0, said
    later = await finish(house, "mri-2")
    record = house.history.event(request, "COMPLETED")["record_id"]
    assert record != later[1]
    starts = [s for s in house.starts("mri-2") if str(s["record_id"]) == str(record)]
    assert len(starts) == 1
    assert len([r for r in await house.records() if request in (r["comment"] or "")]) == 1


async def test_a_message_of_nothing_at_all_is_replayed_as_that(house: House) -> None:
    mark = uuid4().hex
    foreign = Producer({"bootstrap.servers": house.kafka.bootstrap})
    foreign.produce(house.prefix + wire.SCAN_STATUS, None, key=None, headers=[("mark", mark)])
    await asyncio.to_thread(foreign.flush, 10)
    name = id_of(await marked(house, mark, attempts=1))
    code, said = await dead_letters(house, "replay", name)
    assert code == 0, said
    again = await marked(house, mark, attempts=2)
    assert again.header["scanhub.null-value"] == "true"
    sent = [m for m in house.history.messages[wire.SCAN_STATUS] if m.header.get("mark") == mark]
    assert [(m.key, m.value) for m in sent] == [(None, None)] * 2
