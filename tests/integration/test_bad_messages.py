"""Bad messages: each one dead letter, or one FAILED with its cause; the next good one goes through."""

import asyncio
import json
from hashlib import sha256
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from models import wire
from tests import odd_headers
from tests.integration.house import LIMITS, House, scan_job

DEEP = b'{"id": 1, "x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"

UNREADABLE: list[tuple[str, str, bytes | None, str | None, str]] = [
    ("not json", wire.SCAN_JOBS, b"\x00\xff rubbish", "mri-1", "undecodable"),
    ("no value", wire.SCAN_JOBS, None, "mri-1", "undecodable"),
    ("deep nesting", wire.SCAN_JOBS, DEEP, "mri-1", "undecodable"),
    ("wrong shape", wire.SCAN_JOBS, b"[1, 2]", "mri-1", "invalid"),
    ("wrong types", wire.SCAN_JOBS, b'{"id": true, "sequence_id": 5, "device_id": {}}', "x", "invalid"),
    ("101 per cent", wire.SCAN_STATUS, b'{"record_id": 1, "status_percent": 101}', "1", "invalid"),
    ("an upload of nothing", wire.RESULT_UPLOADS, b'{"record_id": 1}', "1", "invalid"),
    ("in chunks", wire.RESULT_UPLOADS, b'{"record_id": 1, "chunks": 3}', "1", "unsupported"),
    ("a result of nothing", wire.RECO_RESULTS, b'{"record_id": 1, "success": 7}', "1", "invalid"),
    ("a request of nothing", wire.RESULT_REQUESTS, b'{"what": "all"}', "1", "invalid"),
    ("a command of nothing", wire.SCAN_COMMANDS, b'{"command": "EXPLODE"}', "mri-1", "invalid"),
    ("a task of nobody", wire.DEVICE_TASKS, b"{}", "mri-1", "unknown-record"),
    ("a step of nobody", wire.RECORD_STEPS, b"nonsense", "1", "undecodable"),
]  # fmt: skip


async def finish(house: House, device: str = "mri-1", **fields: Any) -> tuple[str, int]:
    """Scan once, all the way; gives the request and the record."""
    request = uuid4().hex
    await house.history.produce(
        wire.SCAN_JOBS, scan_job(device, **fields), key=device, headers={"request-id": request}
    )
    await house.history.reaches(request, "COMPLETED")
    return request, house.history.event(request, "COMPLETED")["record_id"]


@pytest.mark.parametrize(
    ("topic", "value", "key", "cause"),
    [case[1:] for case in UNREADABLE],
    ids=[case[0] for case in UNREADABLE],
)
async def test_what_cannot_be_read_is_one_dead_letter(
    house: House, topic: str, value: bytes | None, key: str | None, cause: str
) -> None:
    mark = uuid4().hex
    await house.history.produce(topic, value, key=key, headers={"mark": mark})

    letter = await house.history.marked(mark)

    assert letter.header["scanhub.cause"] == cause
    assert letter.value == value
    assert letter.key == (None if key is None else key.encode())
    assert letter.headers[0] == ("mark", mark.encode())
    assert letter.header["__streams.errors.topic"] == topic
    same = [m for m in house.history.messages[wire.DEAD_LETTERS] if m.header.get("mark") == mark]
    assert len(same) == 1


async def test_a_message_of_nothing_at_all_is_a_dead_letter(house: House) -> None:
    """Null key, null value, a header without a value: aiokafka itself can't send such a thing."""
    mark = uuid4().hex
    foreign = Producer({"bootstrap.servers": house.kafka.bootstrap})
    foreign.produce(
        house.prefix + wire.SCAN_STATUS, None, key=None, headers=[("mark", mark), ("none", None)]
    )
    await asyncio.to_thread(foreign.flush, 10)
    letter = await house.history.marked(mark)
    assert (letter.key, letter.value) == (None, b"")
    assert letter.header["scanhub.null-value"] == "true"
    assert letter.headers[:2] == (("mark", mark.encode()), ("none", None))
    await finish(house)


async def test_a_header_name_that_is_no_text_stops_nothing(house: House) -> None:
    """One is moved to its partition, one becomes a dead letter: both keep the name, escaped."""
    mark, first, last = (uuid4().hex for _ in range(3))
    stop = {"command": "STOP", "device_id": "mri-1"}
    odd: dict[bytes, bytes | None] = {b"caf\xe9": b"\xff", b"mark": mark.encode()}
    async with AIOKafkaProducer(bootstrap_servers=house.kafka.bootstrap) as foreign:
        records: list[odd_headers.Record] = [
            (None, json.dumps({**stop, "command_id": first}).encode(), odd),
            (b"mri-1", b'{"command": "EXPLODE"}', odd),
            (b"mri-1", json.dumps({**stop, "command_id": last}).encode(), {}),
        ]
        await odd_headers.send(foreign, house.prefix + wire.SCAN_COMMANDS, 0, records)

    letter = await house.history.marked(mark)
    assert letter.headers[:2] == ((r"caf\xe9", b"\xff"), ("mark", mark.encode()))
    assert letter.header["scanhub.cause"] == "invalid"
    ids = {wire.make_id("mri-1", "COMMAND_ANSWERED", one) for one in (first, last)}
    await house.history.until(
        lambda: ids <= {event["event_id"] for event in house.history.events},
        what="the commands before and behind it are answered",
    )
    await finish(house)


async def test_rubbish_at_the_size_limit_is_a_dead_letter(house: House) -> None:
    mark = uuid4().hex
    rubbish = b"\xfe" * 1_048_000
    await house.history.produce(wire.SCAN_JOBS, rubbish, key="mri-1", headers={"mark": mark})
    letter = await house.history.marked(mark)
    assert letter.value == rubbish


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"acquisition_limits": {**LIMITS["acquisition_limits"], "patient_height": 1.78}}, "cm"),
        ({"acquisition_limits": {**LIMITS["acquisition_limits"], "patient_weight": 0.1}}, "kg"),
        ({"acquisition_limits": {**LIMITS["acquisition_limits"], "patient_age": 131}}, "age"),
        ({"acquisition_limits": None}, "acquisition_limits"),
        ({"sequence_parameters": None}, "sequence_parameters"),
        ({"sequence_id": "abc"}, "sequence"),
        ({"sequence_id": "0" * 24}, "sequence"),
    ],
)
async def test_a_job_that_no_scanner_may_get_fails_with_its_cause(
    house: House, fields: dict[str, Any], words: str
) -> None:
    request = uuid4().hex
    job = scan_job("mri-2", **fields)
    starts = len(house.starts("mri-2"))
    await house.history.produce(wire.SCAN_JOBS, job, key="mri-2", headers={"request-id": request})

    states = await house.history.reaches(request, "FAILED")

    assert states == ["ACCEPTED", "FAILED"]
    assert words in house.history.event(request, "FAILED")["cause"]
    assert len(house.starts("mri-2")) == starts


async def test_an_unknown_device_fails_and_the_next_good_job_goes_through(house: House) -> None:
    request = uuid4().hex
    await house.history.produce(
        wire.SCAN_JOBS, scan_job("nobody"), key="nobody", headers={"request-id": request}
    )
    await house.history.reaches(request, "FAILED")
    assert "device" in house.history.event(request, "FAILED")["cause"]
    await finish(house)


async def test_statuses_and_files_of_another_device_or_record_count_for_nothing(
    house: House,
) -> None:
    request, record = await finish(house)
    events = len(house.history.events)
    wrong: list[tuple[str, Any, str]] = [
        (wire.SCAN_STATUS, {"record_id": record, "status_percent": 1, "device_id": "mri-2"},
         "wrong-device"),
        (wire.RESULT_UPLOADS, {**_upload(house, record, b"x"), "device_id": "mri-2"},
         "wrong-device"),
        (wire.SCAN_STATUS, {"record_id": 777_000, "status_percent": 1}, "unknown-record"),
        (wire.RESULT_UPLOADS, _upload(house, 777_001, b"x"), "unknown-record"),
        (wire.RECO_RESULTS, {"record_id": record, "reco_job_id": "not-ours", "success": True,
                             "files": []}, "invalid"),
    ]  # fmt: skip
    for topic, value, cause in wrong:
        mark = uuid4().hex
        key = str(value["record_id"])
        await house.history.produce(topic, value, key=key, headers={"mark": mark})
        letter = await house.history.marked(mark)
        assert letter.header["scanhub.cause"] == cause
        assert json.loads(letter.value or b"") == value
    assert house.history.states(request)[-1] == "COMPLETED"
    later = [e for e in house.history.events[events:] if e.get("record_id") == record]
    assert [e for e in later if e["event"] == "STATE_CHANGED"] == []


def _upload(house: House, record: int, content: bytes, name: str = "data.npy") -> dict[str, Any]:
    folder = house.lake / "incoming" / uuid4().hex
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)
    return {
        "record_id": record,
        "upload_id": uuid4().hex,
        "location": str((folder / name).relative_to(house.lake)),
        "size": len(content),
        "sha256": sha256(content).hexdigest(),
    }


async def test_files_that_are_not_what_they_should_be_are_refused(house: House) -> None:
    _, record = await finish(house)
    outside = house.folder / "outside.npy"
    outside.write_bytes(b"secret")
    link = house.lake / "incoming" / f"link-{uuid4().hex}.npy"
    link.symlink_to(outside)
    pickled = house.folder / "pickled.npy"
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    good = _upload(house, record, b"real")
    cases: list[tuple[dict[str, Any], str]] = [
        ({**good, "location": "../outside.npy"}, "path-refused"),
        ({**good, "location": str(outside)}, "path-refused"),
        ({**good, "location": str(link.relative_to(house.lake))}, "path-refused"),
        ({**good, "location": "incoming"}, "file-refused"),
        ({**good, "size": 5}, "file-refused"),
        ({**good, "sha256": "0" * 64}, "file-refused"),
        (_upload(house, record, pickled.read_bytes()), "file-refused"),
    ]
    for upload, cause in cases:
        mark = uuid4().hex
        unique = {**upload, "upload_id": mark}
        if cause != "file-refused" or "sha256" not in upload:
            unique["sha256"] = sha256(mark.encode()).hexdigest()
        await house.history.produce(
            wire.RESULT_UPLOADS, unique, key=str(record), headers={"mark": mark}
        )
        letter = await house.history.marked(mark)
        assert letter.header["scanhub.cause"] == cause, upload
        assert b"secret" not in (letter.value or b"")


async def test_a_second_file_of_a_record_stands_beside_the_first(house: House) -> None:
    request, record = await finish(house)
    before = len(house.history.messages[wire.RECO_JOBS])
    other = _upload(house, record, b"\x93other raw data")
    await house.history.produce(wire.RESULT_UPLOADS, other, key=str(record))
    await house.history.until(
        lambda: [
            e for e in house.history.events
            if e["event"] == "LATE" and e.get("record_id") == record and e.get("files")
        ],
        what="the late file is announced",
    )  # fmt: skip
    assert house.history.states(request)[-1] == "COMPLETED"
    assert len(house.history.messages[wire.RECO_JOBS]) == before
