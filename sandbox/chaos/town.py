"""Everything that runs: broker, proxies, managers, devices, reconstruction, workers."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self

import httpx

from sandbox.chaos.collect import lines
from sandbox.chaos.diary import Diary
from sandbox.chaos.disk import Disk
from sandbox.chaos.limits import SCAN_S, SETTINGS
from sandbox.chaos.proxy import Remote
from sandbox.chaos.traffic import SEQUENCE_ID
from sandbox.chaos.workers import Worker
from sandbox.kafka import EmbeddedKafka
from sandbox.kafka.ports import free_ports
from sandbox.processes import Process, ProcessGroup

ROOT: Final = Path(__file__).resolve().parents[2]
PARTITIONS: Final = 4
PREFIX: Final = "chaos."
GROUP: Final = f"{PREFIX}app"
Era = Literal["integer", "uuid"]
"""How the exam manager keeps records; workflows need UUIDs, as their tasks are the scans' jobs."""
MANAGERS: Final = ("exam", "device", "sequence")
_SEQUENCE_FILE: Final = "# Pulseq sequence file\n\n[DEFINITIONS]\nMatrix 32 32\n"
_ANSWER_S: Final = 30.0


class Town:
    """All processes of a run; each link between a worker and the broker has a proxy of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        app: str,
        workers: Sequence[str],
        devices: Sequence[str],
        era: Era = "integer",
        settings: Mapping[str, str] = SETTINGS,
        scan_s: float = SCAN_S,
    ) -> None:
        self.folder = folder
        self.diary = Diary(folder / "runner.jsonl")
        self.disk = Disk(folder / "lake")
        self.devices = tuple(devices)
        self._app = app
        self._era = era
        self._scan_s = scan_s
        self._settings = {**settings, "SCANHUB_RECORDS": era}
        self._doors = dict(zip(workers, free_ports(len(workers)), strict=True))
        self.kafka = EmbeddedKafka(folder / "kafka", proxies=tuple(self._doors.values()))
        self.workers = {name: Worker(name, self._start_worker, self.diary) for name in workers}
        self.links: dict[str, Remote] = {}
        self._group = ProcessGroup(folder / "logs", grace=15)
        self._services: dict[str, str] = {}
        self._controls: dict[str, str] = {}
        self._http = httpx.AsyncClient(trust_env=False, timeout=10)

    async def __aenter__(self) -> Self:
        self._group.__enter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._http.aclose()
            for worker in self.workers.values():
                await worker.forsake()  # or it would be started again at once
            await asyncio.to_thread(self._group.stop)
            await asyncio.to_thread(self.kafka.stop)
        finally:
            self._group.__exit__(None, None, None)
            self.disk.unmount()
            self.diary.close()

    async def furnish(self, workers: Sequence[str]) -> None:
        """Start everything, and give back once these workers are ready."""
        self.disk.mount()
        for name, port in self._doors.items():
            process = self._module(
                f"link-{name}", "sandbox.chaos.proxy",
                "--listen", str(port), "--target", str(self.kafka.behind[port]),
            )  # fmt: skip
            self.links[name] = Remote(int((await _told(process))["control"]))
        managers = self._module(
            "managers", "sandbox.managers", "--any-job", "--era", self._era,
            "--log", self.folder / "managers.jsonl", "--state", self.folder / "exams.jsonl",
        )  # fmt: skip
        await asyncio.to_thread(self.kafka.start)
        told = await _told(managers)
        self._controls |= {f"manager-{name}": url for name, url in told.pop("control").items()}
        self._services |= told
        # The workers make the topics, so they come first; they wait for nobody.
        for name in workers:
            self.workers[name].keep()
        clients = (
            "--kafka", self.kafka.bootstrap, "--topic-prefix", PREFIX,
            "--data-lake", self.disk.folder,
        )  # fmt: skip
        scanners = {
            device: self._module(
                f"device-{device}", "sandbox.device", *clients,
                "--id", device, "--scan-seconds", str(self._scan_s),
                "--log", self.folder / f"starts-{device}.jsonl",
                "--requests", self.folder / f"requests-{device}.jsonl",
            )
            for device in self.devices
        }  # fmt: skip
        seeds = []
        for device, process in scanners.items():
            told = await _told(process)
            self._controls[device] = told["control"]["device"]
            seeds.append({"id": device, "ip_address": told["ip_address"]})
        sequence = {"_id": SEQUENCE_ID, "file": _SEQUENCE_FILE}
        await self.seed({"devices": seeds, "sequences": [sequence]})
        # One that checks fencing tokens, as a careful device does; the others do not.
        await self.knobs(self.devices[0], {})
        async with asyncio.timeout(60):
            for name in workers:
                await self.workers[name].ready.wait()
        reconstruction = self._module(
            "reconstruction", "sandbox.reconstruction", *clients, "--group", f"{PREFIX}reco"
        )
        await _told(reconstruction)

    async def seed(self, rows: Mapping[str, Any]) -> None:
        """Let the managers know something."""
        await self._post("manager-exam", "seed", rows)

    async def knobs(self, service: str, knobs: Mapping[str, Any]) -> None:
        """Set the faults of a manager (`manager-exam`) or a device; with none it is well again."""
        own = {"require_fencing": True} if service == self.devices[0] else {}
        await self._post(service, "knobs", {**own, **knobs})

    def state_folders(self, worker: str) -> list[Path]:
        """Give a worker's folders of local stores."""
        return [p for p in (self.folder / "state").glob(f"*-{worker}") if p.is_dir()]

    def started(self, device: str) -> set[str]:
        """Give the records that a device's own log says it was started for."""
        starts = lines(self.folder / f"starts-{device}.jsonl")
        return {str(start["record_id"]) for start in starts}

    async def _post(self, service: str, path: str, body: Mapping[str, Any]) -> None:
        answer = await self._http.post(f"{self._controls[service]}/_sandbox/{path}", json=body)
        answer.raise_for_status()

    def _module(self, name: str, module: str, *arguments: str | Path) -> Process:
        return self._group.start(name, [sys.executable, "-m", module, *arguments], cwd=ROOT)

    def _start_worker(self, name: str, settings: Mapping[str, str]) -> Process:
        own = {k: v for k, v in os.environ.items() if not k.startswith(("SCANHUB_", "FAUST_"))}
        env = {
            **own,
            "SCANHUB_KAFKA": f"127.0.0.1:{self._doors[name]}",
            "SCANHUB_APP_ID": GROUP,
            "SCANHUB_TOPIC_PREFIX": PREFIX,
            "SCANHUB_WORKER_ID": name,
            "SCANHUB_STATE_DIR": str(self.folder / "state"),
            "SCANHUB_DATA_LAKE": str(self.disk.folder),
            "SCANHUB_WEB_PORT": "0",
            **self._settings,
            "SCANHUB_PARTITIONS": str(PARTITIONS),
            "SEQUENCE_MANAGER_URI": self._services["sequence"],
            "EXAM_MANAGER_URI": self._services["exam"],
            "DEVICE_MANAGER_URI": self._services["device"],
            **settings,
        }
        command = [sys.executable, "-m", "faust", "-A", self._app, "worker", "-l", "info"]
        return self._group.start(f"worker-{name}", command, env=env, cwd=ROOT)


async def _told(process: Process) -> dict[str, Any]:
    """Wait for the one line of JSON with which our programs say that they are there."""
    line = await asyncio.to_thread(process.wait_for_line, "{", _ANSWER_S)
    told: dict[str, Any] = json.loads(line)
    return told
