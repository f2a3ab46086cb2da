"""What the recovery is measured on: a broker, a stub for all others, and workers that come and go."""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sandbox.demo.parts import ROOT, WORKER, worker_environment
from sandbox.demo.usage import Usage, usage_of
from sandbox.kafka import EmbeddedKafka, KafkaFailedError
from sandbox.processes import Process, ProcessGroup
from settings import Settings

START_S: Final = 40.0
READY_S: Final = 400.0
READY: Final = b"Worker ready"
TERM_S: Final = 20.0


class Stand:
    """Broker and stub run for the whole block; workers are started and ended by name."""

    def __init__(self, folder: Path, logs: Path, latency_ms: float) -> None:
        self.kafka = EmbeddedKafka(folder / "kafka")
        self.address = ""
        settings = Settings.from_environment({})
        self.app_id, self.partitions = settings.app_id, settings.partitions
        self._folder = folder
        self._latency = str(latency_ms)
        self._logs = logs
        self._log_starts: dict[str, int] = {}
        self._group = ProcessGroup(logs)
        self._stack = ExitStack()
        self._workers: dict[str, Process] = {}

    def __enter__(self) -> Self:
        try:
            self._stack.enter_context(self.kafka)
            self._stack.enter_context(self._group)
            command = [sys.executable, "-m", "bench.stub", "--latency-ms", self._latency]
            self._stub = self._group.start("stub", command, cwd=ROOT)
            self.address = json.loads(self._stub.wait_for_line("{", START_S))["address"]
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def start(self, name: str, settings: Mapping[str, str] | None = None) -> None:
        """Start a worker; its name keeps its local state."""
        served = dict.fromkeys(("sequence", "exam", "device"), self.address)
        env = worker_environment(self.kafka.bootstrap, self._folder, served)
        # No scan ever ends here, so a queue would stand still.
        env |= {"SCANHUB_WORKER_ID": name, "SCANHUB_SCANS_PER_DEVICE": "0", **(settings or {})}
        log = self._logs / f"{name}.log"
        self._log_starts[name] = log.stat().st_size if log.exists() else 0
        self._workers[name] = self._group.start(name, WORKER, env=env, cwd=ROOT)

    async def ready(self, name: str, limit_s: float = READY_S) -> None:
        """Wait until a worker has its tables. Raises ProcessFailedError."""
        # Not in a thread for the whole wait: that could not be interrupted.
        process, deadline = self._workers[name], time.monotonic() + limit_s
        while READY not in process.log_file.read_bytes()[self._log_starts[name] :]:
            if not process.running or time.monotonic() > deadline:
                raise process.failure("did not become ready")
            await asyncio.sleep(0.05)

    def kill(self, name: str) -> float:
        """SIGKILL; gives the moment."""
        moment = time.monotonic()
        self._workers.pop(name).kill()
        return moment

    def kill_all(self) -> None:
        """SIGKILL all workers."""
        for name in list(self._workers):
            self.kill(name)

    async def terminate(self, name: str) -> tuple[float, int]:
        """SIGTERM; gives how long it took to end, and its exit code."""
        moment = time.monotonic()
        code = await asyncio.to_thread(self._workers.pop(name).terminate, TERM_S)
        return time.monotonic() - moment, code

    def usage(self, name: str) -> Usage | None:
        """Give what a worker takes of the machine."""
        return usage_of(self._workers[name].pid)

    def check(self) -> None:
        """Raise if a part has ended that was not asked to."""
        for process in (self._stub, *self._workers.values()):
            if (code := process.exit_code) is not None:
                raise process.failure(f"ended by itself with {code}")
        if not self.kafka.running:
            raise KafkaFailedError(f"the broker ended by itself:\n{self.kafka.tail()}")
