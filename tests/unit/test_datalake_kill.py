"""A worker that is killed while it takes a file in leaves nothing that looks like a result."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datalake import DataLake

DATA = os.urandom(300_000)
HASH = hashlib.sha256(DATA).hexdigest()
HOUSE = Path(__file__).parents[2]

# Takes a file in, says so on its way at a call of the operating system, and waits to be killed.
WORKER = """
import asyncio, os, pathlib, sys, threading
from datalake import DataLake
root, call, number, size, sha256 = sys.argv[1:]
real, count = getattr(os, call), 0
def hold(*args, **kwargs):
    global count
    if threading.current_thread().name.startswith("datalake"):
        count += 1
        if count == int(number):
            print("here", flush=True)
            threading.Event().wait()
    return real(*args, **kwargs)
setattr(os, call, hold)
lake = DataLake(pathlib.Path(root), chunk=100_000)
asyncio.run(lake.take_in("12", "a.npy", size=int(size), sha256=sha256, suffix="raw.npy"))
"""


@pytest.mark.parametrize(
    ("call", "number", "visible"),
    [
        ("write", 2, False),
        ("fsync", 3, False),  # after those of the two folders that were made
        ("link", 1, False),
        ("unlink", 1, True),
        ("fsync", 4, True),
    ],
)
async def test_a_kill_leaves_nothing_half_written(
    tmp_path: Path, call: str, number: int, visible: bool
) -> None:
    (tmp_path / "a.npy").write_bytes(DATA)
    arguments = [str(tmp_path), call, str(number), str(len(DATA)), HASH]
    with subprocess.Popen(  # noqa: ASYNC220, S603 - nothing else runs in this loop; it is ours
        [sys.executable, "-c", WORKER, *arguments], cwd=HOUSE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"here\n"
        worker.send_signal(signal.SIGKILL)

    folder = tmp_path / "records" / "12"
    results = [path for path in folder.iterdir() if not path.name.startswith(".part-")]
    assert [path.read_bytes() for path in results] == ([DATA] if visible else [])

    leftovers = [path for path in folder.iterdir() if path.name.startswith(".part-")]
    for path in leftovers:
        os.utime(path, (time.time() - 3700,) * 2)
    lake = DataLake(tmp_path)
    stored = await lake.take_in("12", "a.npy", size=len(DATA), sha256=HASH, suffix="raw.npy")
    assert (tmp_path / stored.location).read_bytes() == DATA
    assert [path.name for path in folder.iterdir()] == [f"{HASH[:12]}-raw.npy"]
