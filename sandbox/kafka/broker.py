"""One embedded broker: start, stop, and the faults that a test wants to see survived."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sandbox.kafka.cache import FileLock
from sandbox.kafka.errors import KafkaFailedError
from sandbox.kafka.jars import class_path
from sandbox.kafka.java import java_command
from sandbox.kafka.leftover import end_leftover
from sandbox.kafka.ports import HeldPorts, free_ports
from sandbox.kafka.probe import is_ready
from sandbox.kafka.properties import HOST, server_properties
from sandbox.kafka.storage import prepare_data
from sandbox.processes import POLL_SECONDS, TERMINATED, Process, tail, undisturbed

_STOP_SECONDS: Final = 15


class EmbeddedKafka:
    """A one-node Kafka with its data and log below `folder`.

    Ports are chosen once and stay: a broker that was stopped or killed comes back by `start()`,
    at the same address, with the same data. Without `port` the system is asked for a free one.

    `proxies` are ports of proxies in front of the broker. `behind[proxy]` is the port that such a
    proxy is to connect to: clients that come in there are told the proxy's address, not ours.
    """

    def __init__(
        self, folder: Path, *, port: int | None = None, proxies: Sequence[int] = ()
    ) -> None:
        self.folder = folder.absolute()
        free, controller, *doors = free_ports(2 + len(proxies))
        self.port = free if port is None else port
        self.behind = dict(zip(proxies, doors, strict=True))
        self._controller_port = controller
        self._ports = HeldPorts(self.port, self._controller_port, *doors)
        self._owner = FileLock(self.folder / "owner.lock")
        self._process: Process | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients, `host:port`."""
        return f"{HOST}:{self.port}"

    @property
    def log_file(self) -> Path:
        """The broker's log, of all its runs."""
        return self.folder / "broker.log"

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether the process is there; a frozen one counts."""
        return self._process is not None and self._process.running

    def start(self, timeout: float = 60) -> None:
        """Start the broker and return when it answers as a member of its cluster."""
        if self.running:
            raise RuntimeError(f"the broker at {self.bootstrap} runs already")
        jars = class_path()  # not part of the time-out: the first time they come over the network
        deadline = time.monotonic() + timeout
        if not self._owner.acquire():
            raise KafkaFailedError(f"another process runs a broker in {self.folder}")
        try:
            self._launch(jars)
            self._await_answer(deadline, timeout)
        except BaseException:
            self._give_up()
            raise

    def stop(self) -> None:
        """Shut the broker down in order (SIGTERM), by force when it takes too long."""
        with undisturbed():
            code = self._process.terminate(_STOP_SECONDS) if self._process else 0
            self._give_up()
        if code not in {0, TERMINATED} and not _was_killed(code):
            raise KafkaFailedError(f"the broker ended with {code}:\n{self.tail()}")

    def kill(self) -> None:
        """End the broker as a power cut would; the port stays reserved for its return."""
        if self._process is not None:
            self._process.kill()

    def freeze(self) -> None:
        """Let the broker hang: connections stay open, nothing answers."""
        self._alive().freeze()

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        self._alive().thaw()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the broker's own end and give its exit code; TimeoutError when it goes on."""
        return self._alive().wait(timeout)

    def tail(self, lines: int = 40) -> str:
        """Give the last lines of the broker's log."""
        return tail(self.log_file, lines)

    def __enter__(self) -> Self:
        if not self.running:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self, jars: list[Path]) -> None:
        properties, pid_file = self.folder / "server.properties", self.folder / "broker.pid"
        end_leftover(pid_file, properties)  # before the ports are taken: it may listen on ours
        self._ports.hold()
        data, temporary = self.folder / "data", self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        prepare_data(data, jars)
        properties.write_text(
            server_properties(
                data,
                port=self.port,
                controller_port=self._controller_port,
                behind={ours: proxy for proxy, ours in self.behind.items()},
            )
        )
        self._process = Process(
            "the broker",
            java_command(jars, "kafka.Kafka", properties, temporary=temporary),
            log_file=self.log_file,
            cwd=self.folder,
        )
        pid_file.write_text(str(self._process.pid))

    def _await_answer(self, deadline: float, timeout: float) -> None:
        process = self._alive()
        while not is_ready(self.port):
            if not process.running:
                raise KafkaFailedError(
                    f"the broker ended with {process.exit_code} at start:\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise KafkaFailedError(f"no answer after {timeout:g} s:\n{self.tail()}")
            time.sleep(POLL_SECONDS)

    def _alive(self) -> Process:
        if self._process is None or not self._process.running:
            raise KafkaFailedError(f"the broker at {self.bootstrap} does not run:\n{self.tail()}")
        return self._process

    def _give_up(self) -> None:
        """Leave nothing: no process, no port, no lock."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._ports.release()
        if self._owner.held:
            with suppress(FileNotFoundError):
                (self.folder / "broker.pid").unlink()
        self._owner.release()


def _was_killed(code: int) -> bool:
    """Whether a signal ended it: a test's `kill()`, or our own insisting at the end."""
    return code < 0
