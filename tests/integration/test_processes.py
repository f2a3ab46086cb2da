"""The supervisor under the demo, the chaos runs and the embedded broker."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.processes import Process, ProcessFailedError, ProcessGroup

_IDLE = "import time; print('ready', flush=True); time.sleep(60)"
_STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + _IDLE
_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
time.sleep(60)
"""


def test_all_end_with_the_block(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as processes:
        started = [processes.start(f"idle-{number}", _python(_IDLE)) for number in range(3)]
        for process in started:
            process.wait_for_line("ready")
        started[0].freeze()  # it can't hear the request to end before it goes on
    assert [process.exit_code for process in started] == [-signal.SIGTERM] * 3


def test_one_that_will_not_end_is_killed_after_the_grace(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path, grace=0.2) as processes:
        process = processes.start("stubborn", _python(_STUBBORN))
        process.wait_for_line("ready")
    assert process.exit_code == -signal.SIGKILL


def test_children_of_a_child_end_too(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as processes:
        process = processes.start("parent", _python(_PARENT))
        child = int(process.wait_for_line("child").split()[1])
    _until(lambda: not _runs(child), "a grandchild is left")


def test_sigterm_leaves_the_block_and_ends_all(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    started: list[Process] = []

    def run_until_sigterm() -> None:
        with ProcessGroup(tmp_path) as processes:
            started.append(processes.start("idle", _python(_IDLE)))
            started[0].wait_for_line("ready")
            os.kill(os.getpid(), signal.SIGTERM)
            started[0].wait(10)

    with pytest.raises(SystemExit) as caught:
        run_until_sigterm()
    assert caught.value.code == 128 + signal.SIGTERM
    assert not started[0].running
    assert signal.getsignal(signal.SIGTERM) == before


def test_output_goes_to_the_log_and_the_environment_is_as_given(tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ['WHO'], flush=True); print('oops', file=sys.stderr)"
    with ProcessGroup(tmp_path) as processes:
        process = processes.start("echo", _python(code), env={"WHO": "me"})
        assert process.wait_for_line("me") == "me"
        assert process.wait(10) == 0
    assert (tmp_path / "echo.log").read_text().split() == ["me", "oops"]


def test_waiting_for_a_line_ends_with_the_process(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as processes:
        process = processes.start("short", _python("print('last words', end='')"))
        assert process.wait_for_line("last") == "last words"
        with pytest.raises(ProcessFailedError, match=r"short ended with 0 (?s:.*)last words"):
            process.wait_for_line("more")


def test_waiting_for_a_line_has_an_end(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as processes:
        process = processes.start("idle", _python(_IDLE))
        with pytest.raises(ProcessFailedError, match="did not write 'never' within"):
            process.wait_for_line("never", timeout=0.1)


def test_a_second_run_is_not_taken_for_the_first(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as processes:
        first = processes.start("idle", _python(_IDLE))
        first.wait_for_line("ready")
        first.kill()
        second = processes.start("idle", _python("import time; time.sleep(60)"))
        with pytest.raises(ProcessFailedError):
            second.wait_for_line("ready", timeout=0.3)


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
async def test_a_child_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    asked: list[Process] = []

    def ask() -> None:
        asked.append(Process("idle", _python(_IDLE), log_file=tmp_path / "idle.log"))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    try:
        await asyncio.to_thread(asked[0].wait_for_line, "ready")
        assert asked[0].running
    finally:
        assert asked[0].kill() == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_children_end_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from sandbox.processes import Process; import sys, time\n"
        f"log = Path({str(tmp_path)!r}) / 'child.log'\n"
        f"print('child', Process('child', [sys.executable, '-c', {_IDLE!r}], log_file=log).pid,"
        " flush=True)\n"
        "time.sleep(60)"
    )
    with ProcessGroup(tmp_path) as processes:
        parent = processes.start("parent", _python(code))
        child = int(parent.wait_for_line("child").split()[1])
        parent.kill()
        _until(lambda: not _runs(child), "the child is left")


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _until(condition: Callable[[], bool], failure: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, failure
        time.sleep(0.02)
