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
WORKER: Final = (sys.executable, "-m", "faust", "-A", "faust_app", "worker", "-l", "info")

Say = Callable[[str], None]


class Parts:
    """All processes of the demo. Leaving the block ends them, the broker last."""

    def __init__(self, folder: Path, logs: Path, say: Say) -> None:
        self.kafka = EmbeddedKafka(folder / "kafka")
        self.lake = folder / "lake"
        self._folder = folder
        self._logs = logs
        self._say = say
        self._running: list[Process] = []
        self._stack = ExitStack()
        self._group = ProcessGroup(logs)

    def start(self, devices: Sequence[str], sequences: Sequence[Any], scan_s: float) -> None:
        """Start all, and return when the processor is ready."""
        self.lake.mkdir(parents=True)
        managers = self._module("managers", "sandbox.managers", "--any-job")
        began = time.monotonic()
        self.kafka.start()
        self._tell(f"Kafka at {self.kafka.bootstrap}", began)
        served = _addresses(managers)
        worker = self._program(
            "worker",
            WORKER,
            worker_environment(self.kafka.bootstrap, self._folder, served),
        )
        # Beside the worker: its start takes longest. They need the broker only.
        clients = ("--kafka", self.kafka.bootstrap, "--data-lake", self.lake)
        scanners = {
            device: self._module(
                f"device-{device}", "sandbox.device", *clients,
                "--id", device, "--scan-seconds", str(scan_s),
            )
            for device in devices
        }  # fmt: skip
        reconstruction = self._module("reconstruction", "sandbox.reconstruction", *clients)
        _seed(
            served["control"]["device"],
            sequences=list(sequences),
            devices=[
                {"id": device, "ip_address": _addresses(process)["ip_address"]}
                for device, process in scanners.items()
            ],
        )
        reconstruction.wait_for_line('"ready"', _START_S)
        worker.wait_for_line("Worker ready", _START_S)
        self.worker = worker
        what = f"three managers, {len(scanners)} scanners, one reconstruction worker, one processor"
        self._tell(what, began)

    def check(self) -> None:
        """Raise ProcessFailedError or KafkaFailedError, with its log's end, if a part has ended."""
        for process in self._running:
            if (code := process.exit_code) is not None:
                raise process.failure(f"ended by itself with {code}")
        if not self.kafka.running:
            raise KafkaFailedError(f"the broker ended by itself:\n{self.kafka.tail()}")

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


def _addresses(process: Process) -> Any:
    """Read the line of JSON with which each of the sandbox's programs says that it listens."""
    return json.loads(process.wait_for_line("{", _START_S))


def _seed(control: str, **rows: Any) -> None:
    """Furnish the managers."""
    body = json.dumps(rows).encode()
    asked = urllib.request.Request(f"{control}/_sandbox/seed", body)  # noqa: S310 - on loopback
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=10):
        pass
