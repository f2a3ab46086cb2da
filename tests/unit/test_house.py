"""Rules of the house that no linter knows: who may import whom, and what importing may do."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]

ROOMS: Final = {
    "models": {"models"},
    "streams": {"models", "streams"},
    "managers": {"models", "managers"},
    "datalake": {"models", "datalake"},
    "agents": {"models", "streams", "managers", "datalake", "settings", "agents"},
    "commands": {"models", "streams", "settings", "commands"},
    "sandbox": {"models", "sandbox"},
    "settings": set(),
}
OURS: Final = {*ROOMS, "faust_app", "tests", "bench", "scripts"}

MOST_LINES: Final = 300
LONGER: Final[dict[str, str]] = {
    "tests/unit/test_datalake_store.py": "one class, its promises side by side",
}
"""Python files that may be longer, each with its reason."""

# Written in parts, so that this file does not find itself.
MACHINE_PATH: Final = re.compile(r"(?<![\w.~}$:/-])/(?:wo" + r"rk|ro" + r"ot|ho" + r"me)/[\w.]")
REGISTRIES: Final = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("repo1", "maven", "org"),
        ("repo", "maven", "apache"),
        ("npmjs", "org"),
        ("docker", "io"),
    )
)


def files() -> list[Path]:
    """Give the files that are in the repository or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:  # an archive without history
        found = [path for path in ROOT.rglob("*") if not any(p[0] == "." for p in path.parts[1:])]
    return sorted(path for path in found if path.is_file())


def python_files(room: str) -> list[Path]:
    inside = (
        [ROOT / f"{room}.py"] if (ROOT / f"{room}.py").exists() else (ROOT / room).rglob("*.py")
    )
    return sorted(inside)


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Give the first part of every name that a file imports, wherever it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name.split(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0], node.lineno
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    found = python_files(room)
    assert found
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in found
        for name, line in imported(path)
        if name in OURS and name not in ROOMS[room]
    ]
    assert wrong == []


def test_the_product_does_not_need_its_sandbox_or_tests() -> None:
    for room in ("faust_app", *(set(ROOMS) - {"sandbox"})):
        for path in python_files(room):
            names = {name for name, _ in imported(path)}
            assert not names & {"sandbox", "tests", "bench", "pytest", "hypothesis"}, path


def test_decisions_know_no_loop_no_clock_and_no_faust() -> None:
    found = sorted((ROOT / "agents").rglob("decide.py"))
    assert len(found) >= 2
    for path in found:
        names = {name for name, _ in imported(path)}
        assert not names & {"asyncio", "time", "datetime", "faust", "random", "os", "logging"}, path
        waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
        assert not any(isinstance(node, waits) for node in ast.walk(ast.parse(path.read_text())))


def test_only_the_app_reads_the_environment() -> None:
    for room in set(ROOMS) - {"sandbox"}:
        for path in python_files(room):
            text = path.read_text()
            assert not re.search(r"\bos\.environ|\bgetenv\b", text.replace("`os.environ`", "")), (
                path
            )


PROBE: Final = """
import asyncio, importlib, json, os, sys, threading

root = sys.argv[1] + os.sep
seen = []


def caller():
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name not in (os.__file__, "<frozen os>", "<string>") and "collections_abc" not in name:
            return name
        frame = frame.f_back
    return "?"


class Watched(type(os.environ)):
    def __init__(self, inner):
        self.__dict__.update(inner.__dict__)

    def _note(self, name):
        who = caller()
        if who.startswith(root) and "site-packages" not in who:  # .venv lies below the root
            seen.append(f"{who} reads {name}")

    def __getitem__(self, name):
        self._note(name)
        return super().__getitem__(name)

    def __contains__(self, name):
        self._note(name)
        return super().__contains__(name)

    def __iter__(self):
        self._note("all")
        return super().__iter__()


os.environ = Watched(os.environ)
made = []
begin = asyncio.BaseEventLoop.__init__
asyncio.BaseEventLoop.__init__ = lambda self, *a, **k: (made.append(caller()), begin(self, *a, **k))[1]
start = threading.Thread.start
threading.Thread.start = lambda self: (made.append("thread " + self.name), start(self))[1]
sys.path.insert(0, root)
for module in sys.argv[2:]:
    importlib.import_module(module)
sys.stdout.write(json.dumps({"reads": seen, "made": made}))
"""


def modules() -> list[str]:
    names = []
    for room in ROOMS:
        for path in python_files(room):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[-1] != "__main__":
                names.append(".".join(parts).removesuffix(".__init__"))
    return names


def probe(root: Path, *names: str) -> Any:
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-c", PROBE, str(root), *names],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return json.loads(ended.stdout)


def test_importing_does_nothing() -> None:
    assert probe(ROOT, *modules()) == {"reads": [], "made": []}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("import os; os.getenv('A')", "reads"),
        ("import os; 'A' in os.environ", "reads"),
        ("import os; dict(os.environ)", "reads"),
        ("import asyncio; asyncio.new_event_loop().close()", "made"),
        ("import threading; threading.Thread(target=print).start()", "made"),
    ],
)
def test_the_probe_sees_what_it_is_for(tmp_path: Path, line: str, kind: str) -> None:
    (tmp_path / "bad_one.py").write_text(line.replace("target=print", "target=int"))
    assert probe(tmp_path, "bad_one")[kind]


def test_files_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in files()
        if path.suffix == ".py" and (count := path.read_text().count("\n")) > MOST_LINES
    }
    assert {name: count for name, count in long.items() if name not in LONGER} == {}
    assert set(LONGER) <= set(long), "a reason that is no longer needed"


def texts() -> Iterator[tuple[str, int, str]]:
    for path in files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            yield str(path.relative_to(ROOT)), number, line


def test_no_file_knows_a_machine_or_a_registry() -> None:
    wrong = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, number, line in texts()
        if MACHINE_PATH.search(line) or any(host in line for host in REGISTRIES)
    ]
    assert wrong == []


def test_a_machine_path_would_be_found() -> None:
    for path in ("wo" + "rk", "ro" + "ot", "ho" + "me"):
        assert MACHINE_PATH.search(f'open("/{path}/x")')
    assert not MACHINE_PATH.search("see docs/" + "work/x and https://host/" + "home/x")


def test_a_start_does_not_wait_for_pydicom() -> None:
    """A third of a second and 25 MB, which a worker needs at its first image (datalake/identity.py)."""
    wanted = "import agents.runtime, commands; print(*sys.modules)"
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {wanted}"
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-c", program],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = ended.stdout.split()
    assert "agents.runtime" in loaded
    assert "pydicom" not in loaded
    assert "numpy" not in loaded
