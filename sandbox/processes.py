"""Child processes that leave nothing behind: own group, a log file, and an end with their parent.

Each child leads a process group of its own, so that ending it ends what it started. `tether.py`
ties it to this process for the case that this one is killed and can't clean up.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Self

POLL_SECONDS: Final = 0.02
TERMINATED: Final = 128 + signal.SIGTERM  # what a shell reports, and what Java exits with

_TETHER: Final = Path(__file__).with_name("tether.py")
_TAIL_BYTES: Final = 64 * 1024


class ProcessFailedError(RuntimeError):
    """A child ended, or stayed silent, where it was expected to go on. Holds its log's tail."""


@cache
def _launcher() -> ThreadPoolExecutor:
    """Give the one thread that starts children.

    The kernel ties a child to the *thread* that made it. Started from a thread that comes and goes
    (`asyncio.to_thread`), a child would be killed in the middle of its work.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-launcher")


class Process:
    """One child. Its output, both streams, is appended to `log_file`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log_file: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log_file = log_file
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("ab") as log:
            self._log_start = log.tell()
            tether = [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid())]
            self._popen: subprocess.Popen[bytes] = (
                _launcher()
                .submit(
                    subprocess.Popen,
                    [*tether, *map(str, command)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=None if env is None else dict(env),
                    cwd=cwd,
                    start_new_session=True,
                )
                .result()
            )

    @property
    def pid(self) -> int:
        """The child's process id, which is its group's too."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    @property
    def running(self) -> bool:
        """Whether it has not ended; a frozen one counts as running."""
        return self.exit_code is None

    @property
    def log_position(self) -> int:
        """The log's length now, for `wait_for_line(since=...)`."""
        return self.log_file.stat().st_size

    def terminate(self, timeout: float = 15) -> int:
        """Ask it to end (SIGTERM), insist after `timeout` seconds (SIGKILL), give the exit code."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a frozen one would not hear it
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout)
        return self.kill()

    def kill(self) -> int:
        """End it and its whole group at once, and give the exit code."""
        self._signal(signal.SIGKILL)
        return self._popen.wait()

    def freeze(self) -> None:
        """Stop its clock (SIGSTOP): connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its own end and give the exit code; TimeoutError when it goes on."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs after {timeout:g} s") from None

    def wait_for_line(self, text: str, timeout: float = 30, *, since: int | None = None) -> str:
        """Give the first line of this run's log, or of the log after `since`, that holds `text`."""
        deadline = time.monotonic() + timeout
        wanted, rest = text.encode(), b""
        with self.log_file.open("rb") as log:
            log.seek(self._log_start if since is None else since)
            while True:
                ended = not self.running  # asked before reading, so that its last words count
                *lines, rest = (rest + log.read()).split(b"\n")
                for line in [*lines, rest] if ended else lines:
                    if wanted in line:
                        return line.decode(errors="replace")
                if ended:
                    raise self.failure(f"ended with {self.exit_code} before it wrote {text!r}")
                if time.monotonic() > deadline:
                    raise self.failure(f"did not write {text!r} within {timeout:g} s")
                time.sleep(POLL_SECONDS)

    def tail(self, lines: int = 40) -> str:
        """Give the log's last lines."""
        return tail(self.log_file, lines)

    def failure(self, what: str) -> ProcessFailedError:
        """Make an error that says what happened and shows the log's tail."""
        return ProcessFailedError(f"{self.name} {what}; the end of {self.log_file}:\n{self.tail()}")

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(self.pid, number)


class ProcessGroup:
    """Children that end together, at the latest when the `with` block is left, however it is left.

    SIGTERM leaves the block too (as SystemExit), and further signals wait until all have ended.
    """

    def __init__(self, log_folder: Path, *, grace: float = 15) -> None:
        self._log_folder = log_folder
        self._grace = grace
        self._processes: list[Process] = []
        self._signals: Any = None

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """Start a child that logs to `<name>.log`; `env` replaces the environment."""
        log_file = self._log_folder / f"{name}.log"
        process = Process(name, command, log_file=log_file, env=env, cwd=cwd)
        self._processes.append(process)
        return process

    def stop(self) -> None:
        """Ask all to end at the same time, and insist after the grace they share."""
        with undisturbed():
            for process in self._processes:
                process.thaw()
                if process.running:
                    process._signal(signal.SIGTERM)  # noqa: SLF001 - not waited for, one by one
            deadline = time.monotonic() + self._grace
            for process in self._processes:
                with suppress(TimeoutError):
                    process.wait(max(0.0, deadline - time.monotonic()))
                process.kill()
            self._processes.clear()

    def __enter__(self) -> Self:
        self._signals = sigterm_exits()
        self._signals.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            self._signals.__exit__(kind, error, trace)


def tail(log_file: Path, lines: int = 40) -> str:
    """Give a log file's last lines, or a word on why there are none."""
    try:
        with log_file.open("rb") as log:
            log.seek(max(0, log_file.stat().st_size - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(an empty log)"


@contextmanager
def sigterm_exits() -> Iterator[None]:
    """Let SIGTERM leave the block as SystemExit(143), so that clean-up runs.

    Does nothing outside the main thread, or where the program has a handler of its own.
    """
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if ours:
        signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM for a clean-up that is bounded in time."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
