"""Everything that runs: broker, managers, scanners, reconstruction, and one processor."""

import json
import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sandbox.kafka import EmbeddedKafka, KafkaFailedError
from sandbox.processes import Process, ProcessGroup

ROOT: Final = Path(__file__).resolve().parents[2]
_START_S: Final = 40.0
_AT_TERMINAL: Final = (
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
)
WORKER: Final = (sys.executable, "-m", "faust", "-A", "faust_app", "worker", "-l", "info")

Say = Callable[[str], None]


class Parts:
    """All processes of the demo. Leaving the block ends them, the broker last."""

    def __init__(
        self,
        folder: Path,
        logs: Path,
        say: Say,
        settings: Mapping[str, str] | None = None,
        *,
        era: str = "integer",
    ) -> None:
        self.kafka = EmbeddedKafka(folder / "kafka")
        self.lake = folder / "lake"
        self.scanners: dict[str, Process] = {}
        self._controls: dict[str, str] = {}
        self._folder = folder
        self._logs = logs
        self._say = say
        self._settings = settings or {}
        self._era = era
        self._running: list[Process] = []
        self._stack = ExitStack()
        self._group = ProcessGroup(logs)

    def start(self, devices: Sequence[str], sequences: Sequence[Any], scan_s: float) -> None:
        """Start all, and return when the processor is ready."""
        self.lake.mkdir(parents=True)
        managers = self._module("managers", "sandbox.managers", "--any-job", "--era", self._era)
        began = time.monotonic()
        self.kafka.start()
        self._tell(f"Kafka at {self.kafka.bootstrap}", began)
        served = self._served = _addresses(managers)
        own = worker_environment(self.kafka.bootstrap, self._folder, served)
        self._environment = {**own, **self._settings}
        worker = self._program("worker", WORKER, self._environment)
        # Beside the worker: its start takes longest. They need the broker only.
        clients = self._clients
        self.scanners = {
            device: self._module(
                f"device-{device}", "sandbox.device", *clients, "--id", device,
                "--scan-seconds", str(scan_s), "--log", self.starts_log(device),
            )
            for device in devices
        }  # fmt: skip
        reconstruction = self._module("reconstruction", "sandbox.reconstruction", *clients)
        listening = {device: _addresses(process) for device, process in self.scanners.items()}
        self._controls = served["control"] | {
            device: told["control"]["device"] for device, told in listening.items()
        }
        devices_known = [
            {"id": device, "ip_address": told["ip_address"]} for device, told in listening.items()
        ]
        self.seed(sequences=list(sequences), devices=devices_known)
        reconstruction.wait_for_line('"ready"', _START_S)
        worker.wait_for_line("Worker ready", _START_S)
        self.worker = worker
        scanners = "1 scanner" if len(devices) == 1 else f"{len(devices)} scanners"
        what = f"three managers, {scanners}, one reconstruction worker, one processor"
        self._tell(what, began)

    def serve(self, name: str, module: str, *arguments: str) -> Process:
        """Start one more program that reads Kafka, and return when it is ready."""
        process = self._module(name, module, *self._clients, *arguments)
        process.wait_for_line('"ready"', _START_S)
        return process

    def seed(self, **rows: Sequence[Any]) -> None:
        """Tell the managers of what they shall know: devices, sequences, workflows, tasks."""
        self._control("device", "seed", rows)

    def ask(self, service: str, path: str) -> Any:
        """Ask a manager, as anybody could."""
        return json.loads(_fetch(urllib.request.Request(f"{self._served[service]}{path}")))  # noqa: S310 - on loopback

    def log_of(self, name: str) -> Path:
        """Say where a part writes what it did."""
        return self._logs / f"{name}.log"

    def knobs(self, service: str, **knobs: Any) -> None:
        """Set the faults of a manager (`exam`, `device`, `sequence`) or a scanner; none: it is well."""
        self._control(service, "knobs", knobs)

    def starts_log(self, device: str) -> Path:
        """Say where a scanner notes each START that it took."""
        return self._logs / f"starts-{device}.log"

    def command(self, name: str, *arguments: str, columns: int | None = None) -> Process:
        """Start one of the processor's commands, `faust -A faust_app …`; its log has what it writes.

        With `columns` it writes as to a terminal of that width.
        """
        typed = [sys.executable, "-m", "faust", "-A", "faust_app", *arguments]
        if columns is None:
            return self._group.start(name, typed, env=self._environment, cwd=ROOT)
        env = {**self._environment, "COLUMNS": str(columns)}
        typed = [sys.executable, "-c", _AT_TERMINAL, *typed]
        return self._group.start(name, typed, env=env, cwd=ROOT)

    def check(self) -> None:
        """Raise ProcessFailedError or KafkaFailedError, with its log's end, if a part has ended."""
        for process in self._running:
            if (code := process.exit_code) is not None:
                raise process.failure(f"ended by itself with {code}")
        if not self.kafka.running:
            raise KafkaFailedError(f"the broker ended by itself:\n{self.kafka.tail()}")

    def _control(self, service: str, operation: str, body: Any) -> None:
        """Ask one of the sandbox's own operations of a simulated service."""
        url = f"{self._controls[service]}/_sandbox/{operation}"
        _fetch(urllib.request.Request(url, json.dumps(body).encode()))  # noqa: S310 - on loopback

    @property
    def _clients(self) -> tuple[str | Path, ...]:
        return ("--kafka", self.kafka.bootstrap, "--data-lake", self.lake)

    def _module(self, name: str, module: str, *arguments: str | Path) -> Process:
        return self._program(name, [sys.executable, "-m", module, *arguments])

    def _program(
        self, name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None
    ) -> Process:
        process = self._group.start(name, command, env=env, cwd=ROOT)
        self._running.append(process)
        return process

    def _tell(self, what: str, began: float) -> None:
        self._say(f"started in {time.monotonic() - began:4.1f} s: {what}")

    def __enter__(self) -> Self:
        # The last one in is the first one out: the processor commits before its broker goes.
        self._stack.callback(self._keep_broker_log)
        self._stack.callback(self.kafka.stop)
        self._stack.enter_context(self._group)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _keep_broker_log(self) -> None:
        with suppress(FileNotFoundError):
            shutil.copyfile(self.kafka.log_file, self._logs / "broker.log")


def worker_environment(bootstrap: str, folder: Path, served: Mapping[str, Any]) -> dict[str, str]:
    """Give a processor's whole configuration: its environment, without what is set outside."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SCANHUB_", "FAUST_"))}
    return {
        **inherited,
        "SCANHUB_KAFKA": bootstrap,
        "SCANHUB_WORKER_ID": "worker-1",
        "SCANHUB_STATE_DIR": str(folder / "state"),
        "SCANHUB_DATA_LAKE": str(folder / "lake"),
        "SCANHUB_WEB_PORT": "0",
        "SEQUENCE_MANAGER_URI": served["sequence"],
        "EXAM_MANAGER_URI": served["exam"],
        "DEVICE_MANAGER_URI": served["device"],
    }


def _fetch(asked: urllib.request.Request) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=10) as answer:
        content: bytes = answer.read()
    return content


def _addresses(process: Process) -> Any:
    """Read the line of JSON with which each of the sandbox's programs says that it listens."""
    return json.loads(process.wait_for_line("{", _START_S))
