"""A whole house for a test: managers, scanners, reconstruction and workers, each a real process."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import httpx

from models import wire
from sandbox.kafka import EmbeddedKafka
from sandbox.processes import Process, ProcessGroup
from tests.integration.history import History

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
SEQUENCE_ID = "65a1b2c3d4e5f60718293a4b"
SEQUENCE_FILE = "# Pulseq sequence file\n\n[DEFINITIONS]\nMatrix 32 32\n"
LIMITS: dict[str, dict[str, Any]] = {
    "acquisition_limits": {
        "patient_height": 178.25,
        "patient_weight": 74.125,
        "Gender": "FEMALE",
        "patient_age": 41,
    },
    "sequence_parameters": {
        "fov": {"X": 220.0, "Y": 220.0, "Z": 5.0},
        "fov_offset": {"X": 0.0, "Y": -12.5, "Z": 30.0},
    },
}
READ = (
    wire.SCAN_EVENTS, wire.DEAD_LETTERS, wire.DEVICE_TASKS, wire.RECO_JOBS, wire.RECO_RESULTS,
    wire.RESULT_CHUNKS, wire.RESULT_UPLOADS, wire.SCAN_STATUS, wire.SCAN_JOBS, wire.RECORD_STEPS,
    wire.DEVICE_STEPS, wire.RESULT_REQUESTS,
)  # fmt: skip


def scan_job(device: str, job: int | str = 17, **fields: Any) -> dict[str, Any]:
    """A good ScanJob; fields given replace its own."""
    return {"id": job, "sequence_id": SEQUENCE_ID, "device_id": device, **LIMITS, **fields}


class House:
    """Starts processes, and knows where each writes what happened."""

    def __init__(self, kafka: EmbeddedKafka, folder: Path, prefix: str, **settings: str) -> None:
        self.kafka = kafka
        self.folder = folder
        self.prefix = prefix
        self.lake = folder / "lake"
        self.lake.mkdir(parents=True)
        self.settings = settings
        self.group = ProcessGroup(folder / "logs", grace=15)
        self.history = History(kafka.bootstrap, prefix, READ)
        self.services: dict[str, str] = {}
        self.controls: dict[str, str] = {}
        self.workers: dict[str, Process] = {}
        self.http = httpx.AsyncClient(trust_env=False, timeout=10)

    async def __aenter__(self) -> Self:
        self.group.__enter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.history.__aexit__()
        await self.http.aclose()
        await asyncio.to_thread(self.group.stop)
        self.group.__exit__(None, None, None)

    async def furnish(
        self,
        *devices: str,
        era: str = "integer",
        scan_seconds: float = 0.2,
        app: str = "faust_app",
    ) -> None:
        """Start managers, scanners, a reconstruction worker and one processor."""
        await self.start_managers(era)
        for device in devices:
            await self.start_device(device, scan_seconds=scan_seconds)
        self.start_reconstruction()
        await self.start_worker("w1", app=app)
        await self.history.__aenter__()

    async def start_managers(self, era: str, *more: str) -> None:
        command: list[str | Path] = [
            PYTHON, "-m", "sandbox.managers", "--era", era, "--any-job",
            "--log", self.folder / "requests.jsonl", "--state", self.folder / "managers.json", *more,
        ]  # fmt: skip
        process = self.group.start("managers", command, cwd=ROOT)
        told = json.loads(await asyncio.to_thread(process.wait_for_line, "{", 20))
        self.controls |= told.pop("control")
        self.services |= told
        await self.seed(sequences=[{"_id": SEQUENCE_ID, "file": SEQUENCE_FILE}])

    async def start_device(
        self, device: str, *, scan_seconds: float = 0.2, register: bool = True
    ) -> None:
        command: list[str | Path] = [
            PYTHON, "-m", "sandbox.device", "--id", device, "--kafka", self.kafka.bootstrap,
            "--data-lake", self.lake, "--log", self.folder / f"starts-{device}.jsonl",
            "--topic-prefix", self.prefix, "--scan-seconds", str(scan_seconds),
        ]  # fmt: skip
        process = self.group.start(f"device-{device}", command, cwd=ROOT)
        told = json.loads(await asyncio.to_thread(process.wait_for_line, "{", 20))
        self.services[device] = told["device"]
        self.controls[device] = told["control"]["device"]
        if register:
            address = told["device"].removeprefix("http://")
            await self.seed(devices=[{"id": device, "ip_address": address}])

    def start_reconstruction(self) -> None:
        command: list[str | Path] = [
            PYTHON, "-m", "sandbox.reconstruction", "--kafka", self.kafka.bootstrap,
            "--data-lake", self.lake, "--topic-prefix", self.prefix,
            "--group", f"{self.prefix}reco",
        ]  # fmt: skip
        self.group.start("reconstruction", command, cwd=ROOT)

    def env(self, worker: str, **more: str) -> dict[str, str]:
        """The environment of a worker: the machine's own, without settings that are not the test's."""
        own = {k: v for k, v in os.environ.items() if not k.startswith(("SCANHUB_", "FAUST_"))}
        return {
            **own,
            "SCANHUB_KAFKA": self.kafka.bootstrap,
            "SCANHUB_APP_ID": f"{self.prefix}app",
            "SCANHUB_TOPIC_PREFIX": self.prefix,
            "SCANHUB_WORKER_ID": worker,
            "SCANHUB_STATE_DIR": str(self.folder / "state"),
            "SCANHUB_DATA_LAKE": str(self.lake),
            "SCANHUB_WEB_PORT": "0",
            "SCANHUB_EARLY_S": "3",
            "SCANHUB_TIDY_S": "4",
            "SCANHUB_PARTITIONS": "4",
            # A machine with a nearly full disk runs the tests all the same; test_outages.py sets it.
            "SCANHUB_DISK_FREE_MB": "0",
            # Tests share scanners, and some leave a scan without an end: it would hold its scanner.
            # tests/integration/test_queue.py has houses with the queue.
            "SCANHUB_SCANS_PER_DEVICE": "0",
            "SEQUENCE_MANAGER_URI": self.services.get("sequence", "127.0.0.1:9"),
            "EXAM_MANAGER_URI": self.services.get("exam", "127.0.0.1:9"),
            "DEVICE_MANAGER_URI": self.services.get("device", "127.0.0.1:9"),
            **self.settings,
            **more,
        }

    async def start_worker(
        self, name: str, *, ready: bool = True, app: str = "faust_app", **settings: str
    ) -> Process:
        command = [PYTHON, "-m", "faust", "-A", app, "worker", "-l", "info"]
        process = self.group.start(
            f"worker-{name}", command, env=self.env(name, **settings), cwd=ROOT
        )
        self.workers[name] = process
        if ready:
            await asyncio.to_thread(process.wait_for_line, "Worker ready", 40)
        return process

    async def command(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """Run a `faust -A faust_app` command; gives its exit code and what it wrote."""
        process = await asyncio.create_subprocess_exec(
            PYTHON, "-m", "faust", "-A", "faust_app", *arguments,
            cwd=ROOT, env=self.env("w1", **settings),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    async def seed(self, **rows: Any) -> None:
        answer = await self.http.post(f"{self.controls['device']}/_sandbox/seed", json=rows)
        answer.raise_for_status()

    async def knobs(self, service: str, **knobs: Any) -> None:
        """Set a double's faults; without any it is well again."""
        answer = await self.http.post(f"{self.controls[service]}/_sandbox/knobs", json=knobs)
        answer.raise_for_status()

    async def records(self) -> list[dict[str, Any]]:
        """All records that the exam manager has."""
        answer = await self.http.get(f"{self.controls['exam']}/_sandbox/records")
        found: list[dict[str, Any]] = answer.json()
        return found

    def requests(self, service: str, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """What a manager was asked, from its log."""
        return [
            entry
            for entry in _lines(self.folder / "requests.jsonl")
            if entry["service"] == service and entry["method"].startswith(method)
            and path in entry["path"]
        ]  # fmt: skip

    def starts(self, device: str) -> list[dict[str, Any]]:
        """The STARTs that a scanner took, from its log."""
        return _lines(self.folder / f"starts-{device}.jsonl")


async def eventually(predicate: Callable[[], Any], *, what: str, timeout_s: float = 30) -> Any:
    """Wait until something becomes true that no message tells of (a log file, a process)."""
    deadline = time.monotonic() + timeout_s
    while not (found := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s} s")
        await asyncio.sleep(0.05)
    return found


async def in_the_end(
    ask: Callable[[], Awaitable[Any]], wanted: Any, *, what: str, timeout_s: float = 40
) -> None:
    """Ask somebody again and again until the answer is the wanted one."""
    deadline = time.monotonic() + timeout_s
    while (found := await ask()) != wanted:
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: {found} after {timeout_s} s, {wanted} is wanted")
        await asyncio.sleep(0.2)


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
