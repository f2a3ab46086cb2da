"""What the comparison runs on: broker and manager stub for the whole run, one rival at a time."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bench.compare_bus import PARTITIONS
from bench.compare_stub import StubControl
from sandbox.demo.parts import ROOT, WORKER, worker_environment
from sandbox.kafka import EmbeddedKafka, KafkaFailedError
from sandbox.processes import Process, ProcessGroup

OURS: Final = "ours"
BARE: Final = "bare"
NAIVE: Final = "naive"
HTTP: Final = "http"
RIVALS: Final = (OURS, BARE, NAIVE, HTTP)

_START_S: Final = 60.0
_STOP_S: Final = 20.0
_OF_OURS: Final = {
    "SCANHUB_PARTITIONS": str(PARTITIONS),
    # The others have neither a queue for each device nor a POST to it.
    "SCANHUB_SCANS_PER_DEVICE": "0",
    "SCANHUB_GATEWAY": "false",
}


class CompareStand:
    """Broker and stub run for the whole block."""

    def __init__(self, folder: Path, logs: Path, latency_ms: float) -> None:
        self.kafka = EmbeddedKafka(folder / "kafka")
        self._folder = folder
        self._latency = str(latency_ms)
        self._group = ProcessGroup(logs)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._stack.enter_context(self.kafka)
            self._stack.enter_context(self._group)
            command = [sys.executable, "-m", "bench.manager_stub", "--latency-ms", self._latency]
            self._stub = self._group.start("manager-stub", command, cwd=ROOT)
            self.stub = StubControl(json.loads(self._stub.wait_for_line("{", _START_S))["address"])
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

    @contextmanager
    def rival(self, name: str, prefix: str) -> Iterator[tuple[Process, str]]:
        """Run a rival until the block is left; gives it and the line with which it was ready.

        `prefix` is of its topics, which must be there unless it is `ours`, and of its group. Raises
        ProcessFailedError when it does not get ready.
        """
        process = self._ours(prefix) if name == OURS else self._other(name, prefix)
        try:
            line = process.wait_for_line("Worker ready" if name == OURS else "{", _START_S)
            yield process, line
        finally:
            process.terminate(_STOP_S)

    def check(self, rival: Process) -> None:
        """Raise ProcessFailedError or KafkaFailedError if a part has ended by itself."""
        for process in (self._stub, rival):
            if (code := process.exit_code) is not None:
                raise process.failure(f"ended by itself with {code}")
        if not self.kafka.running:
            raise KafkaFailedError(f"the broker ended by itself:\n{self.kafka.tail()}")

    def _ours(self, prefix: str) -> Process:
        served = dict.fromkeys(("sequence", "exam", "device"), self.stub.address)
        folder = self._folder / prefix
        (folder / "lake").mkdir(parents=True)
        env = worker_environment(self.kafka.bootstrap, folder, served) | _OF_OURS
        # An app of its own in each round: nothing to recover, and changelogs that can go with it.
        env |= {"SCANHUB_TOPIC_PREFIX": prefix, "SCANHUB_APP_ID": f"{prefix}app"}
        return self._group.start(OURS, WORKER, env=env, cwd=ROOT)

    def _other(self, name: str, prefix: str) -> Process:
        command = [sys.executable, "-m", f"bench.rivals.{name}", "--managers", self.stub.address]
        if name != HTTP:
            command += ["--kafka", self.kafka.bootstrap, "--prefix", prefix]
        return self._group.start(name, command, cwd=ROOT)
