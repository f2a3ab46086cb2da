"""The simulated device against the device's contract; its messages go into a list here."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from models.results import ResultUpload
from models.scan import ScanStatus
from sandbox.device.outbox import ListOutbox
from sandbox.device.program import Options, running
from sandbox.device.scanner import Scanner
from sandbox.phantom import kspace, phantom, seed_of
from tests.contracts.openapi import contract, example

START = "/api/start-scan"
RECORD = "01878b5e-d925-4068-8d2f-28c3872e8fa6"


@dataclass
class Rig:
    session: aiohttp.ClientSession
    url: str
    control_url: str
    scanner: Scanner
    outbox: ListOutbox
    lake: Path

    async def start(self, body: Any, path: str = START, **headers: str) -> int:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.url + path, json=body, headers=names) as got:
            if got.status in (200, 422):
                judge = contract("device")
                judge.check("POST", START, got.status, got.content_type, await got.read())
            return got.status

    async def control(self, name: str, body: Any = None) -> Any:
        method = "GET" if body is None else "POST"
        url = f"{self.control_url}/_sandbox/{name}"
        async with self.session.request(method, url, json=body) as got:
            assert got.status == 200, await got.text()
            return await got.json()

    def statuses(self) -> list[ScanStatus]:
        sent = [value for topic, _, value, _ in self.outbox.sent if topic == "scan-status"]
        return [ScanStatus.from_bytes(value) for value in sent]

    def uploads(self) -> list[ResultUpload]:
        sent = [value for topic, _, value, _ in self.outbox.sent if topic == "result-uploads"]
        return [ResultUpload.from_bytes(value) for value in sent]


@asynccontextmanager
async def a_device(lake: Path, **options: Any) -> AsyncIterator[Rig]:
    outbox = ListOutbox()
    given: Any = {"device_id": "mri-0001", "lake": lake, "scan_seconds": 0} | options
    async with (
        running(Options(**given), outbox) as (addresses, scanner),
        aiohttp.ClientSession() as session,
    ):
        urls = addresses.services["device"], addresses.control["device"]
        yield Rig(session, *urls, scanner, outbox, lake)


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Rig]:
    async with a_device(tmp_path, starts_log=tmp_path / "starts.jsonl") as rig:
        yield rig


@pytest.mark.parametrize("path", [START, "/start-scan"])
@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        ("device-task", "task-object"),
        ("device-task-sequence-as-text", "task-text"),
        ("scan-request", "request"),
    ],
)
async def test_both_bodies_are_taken_on_both_paths(
    device: Rig, path: str, body: str, dialect: str
) -> None:
    assert await device.start(example(body), path, request_id="r-1", fencing_token="7") == 200
    (start,) = await device.control("starts")
    assert (start["dialect"], start["request_id"], start["fencing_token"]) == (dialect, "r-1", 7)
    assert start["record_id"] == str(example(body)["record_id"])
    logged = (device.lake / "starts.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in logged] == [start]


async def test_a_scan_reports_delivers_and_then_says_done(device: Rig) -> None:
    await device.start(example("device-task"), request_id="r-1")
    await device.scanner.idle()

    told = [(s.status_percent, s.state, s.device_id) for s in device.statuses()]
    running_steps = [(p, "RUNNING", "mri-0001") for p in (0, 25, 50, 75, 100)]
    assert told == [*running_steps, (100, "DONE", "mri-0001")]
    assert [topic for topic, *_ in device.outbox.sent][-2:] == ["result-uploads", "scan-status"]
    for _, key, _, headers in device.outbox.sent:
        assert (key, headers) == (RECORD, [("request-id", b"r-1")])

    (upload,) = device.uploads()
    assert upload.location == f"incoming/mri-0001/{RECORD}.npy"
    data = np.load(device.lake / upload.location, allow_pickle=False)
    wanted = kspace(phantom(128, 128, seed_of(RECORD)))
    assert data.dtype == np.complex64
    assert np.allclose(data, wanted, atol=1e-2)
    assert [path.name for path in (device.lake / "incoming/mri-0001").iterdir()] == [
        f"{RECORD}.npy"
    ]


async def test_a_repeated_start_scans_again_and_is_counted(device: Rig) -> None:
    for _ in range(2):
        await device.start(example("scan-request"))
    await device.scanner.idle()
    assert [start["times"] for start in await device.control("starts")] == [1, 2]
    first, second = device.uploads()
    assert first == second


@pytest.mark.parametrize(
    "change",
    [
        {"record_id": "no id"},
        {"command": "GO"},
        {"command": "PAUSE"},
        {"device_id": "mri-0002"},
        {"parametrized_sequence": {}},
        {"parametrized_sequence": {"sequence": {}, "acquisition_limits": None}},
    ],
)
async def test_what_does_not_validate_is_422_and_not_taken(
    device: Rig, change: dict[str, Any]
) -> None:
    assert await device.start(example("device-task") | change) == 422
    assert await device.control("starts") == []


@pytest.mark.parametrize("body", [[], {}, {"record_id": 1, "sequence": "{"}, {"record_id": 1}])
async def test_a_body_that_is_neither_is_422(device: Rig, body: Any) -> None:
    assert await device.start(body) == 422


async def test_limits_are_a_must_in_a_task(device: Rig) -> None:
    task = example("device-task")
    task["parametrized_sequence"]["acquisition_limits"] = None
    assert await device.start(task) == 422


async def test_a_dialect_may_be_the_only_one(tmp_path: Path) -> None:
    async with a_device(tmp_path, dialect="request") as device:
        assert await device.start(example("device-task")) == 422
        assert await device.start(example("scan-request")) == 200


async def test_one_device_may_stand_for_all(tmp_path: Path) -> None:
    async with a_device(tmp_path, any_device=True) as device:
        assert await device.start(example("device-task") | {"device_id": "../x"}) == 200
        await device.scanner.idle()
        assert {status.device_id for status in device.statuses()} == {"../x"}
        (upload,) = device.uploads()
        assert upload.location.startswith("incoming/___x-")


async def test_fencing_refuses_a_late_start(device: Rig) -> None:
    await device.control("knobs", {"require_fencing": True})
    body = example("scan-request")
    assert await device.start(body) == 409
    assert await device.start(body, fencing_token="5") == 200
    assert await device.start(body, fencing_token="5") == 409
    assert await device.start(body, fencing_token="4") == 409
    assert await device.start(body, fencing_token="6") == 200
    assert len(await device.control("starts")) == 2


async def test_a_scan_may_fail_on_its_way(device: Rig) -> None:
    await device.control("knobs", {"fail_at_percent": 60})
    await device.start(example("scan-request"))
    await device.scanner.idle()
    told = [(status.status_percent, status.state) for status in device.statuses()]
    assert told[-2:] == [(50, "RUNNING"), (60, "FAILED")]
    assert device.uploads() == []


async def test_statuses_may_name_another_device(device: Rig) -> None:
    await device.control("knobs", {"status_device_id": "mri-0002"})
    await device.start(example("scan-request"))
    await device.scanner.idle()
    assert {status.device_id for status in device.statuses()} == {"mri-0002"}


async def test_stop_ends_a_running_scan(tmp_path: Path) -> None:
    async with a_device(tmp_path, scan_seconds=3600) as device:
        await device.start(example("device-task"))
        assert await device.start(example("device-task") | {"command": "STOP"}) == 200
        while [status.state for status in device.statuses()][-1:] != ["ABORTED"]:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await device.scanner.idle()
        assert len(await device.control("starts")) == 1


async def test_a_start_may_be_taken_and_never_answered(device: Rig) -> None:
    await device.control("knobs", {"hang_after": 1})
    waiting = asyncio.create_task(device.start(example("scan-request")))
    while not await device.control("starts"):
        pass
    _, pending = await asyncio.wait({waiting}, timeout=0.05)
    assert pending
    waiting.cancel()


async def test_a_start_may_be_taken_and_the_connection_dropped(device: Rig) -> None:
    await device.control("knobs", {"drop_after": 1})
    with pytest.raises(aiohttp.ClientError):
        await device.start(example("scan-request"))
    assert await device.start(example("scan-request")) == 200
    assert [start["times"] for start in await device.control("starts")] == [1, 2]


@pytest.mark.parametrize("status", [202, 500, 503])
async def test_a_start_may_be_taken_and_answered_oddly(device: Rig, status: int) -> None:
    await device.control("knobs", {"answer_status": status})
    assert await device.start(example("scan-request")) == status
    assert len(await device.control("starts")) == 1


async def test_an_error_takes_nothing(device: Rig) -> None:
    await device.control("knobs", {"errors": 1})
    assert await device.start(example("scan-request")) == 500
    assert await device.control("starts") == []
