"""The supervisor of a worker: starts it again whatever ends it, and writes everything down."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.chaos.collect import lines
from sandbox.chaos.diary import Diary
from sandbox.chaos.workers import Worker
from sandbox.processes import Process, ProcessGroup

PROGRAM = "import time; print('[^Worker]: Worker ready', flush=True); time.sleep(60)"


class Bench:
    """A worker that only says that it is ready."""

    def __init__(self, folder: Path, group: ProcessGroup) -> None:
        self.diary = Diary(folder / "runner.jsonl")
        self.worker = Worker("w1", self.start, self.diary)
        self.settings: list[dict[str, str]] = []
        self._folder, self._group = folder, group

    def start(self, name: str, settings: Mapping[str, str]) -> Process:
        self.settings.append(dict(settings))
        return self._group.start(name, [sys.executable, "-c", PROGRAM])

    def noted(self, *facts: str) -> list[tuple[Any, ...]]:
        return [
            tuple(line.get(fact) for fact in facts) for line in lines(self._folder / "runner.jsonl")
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ProcessGroup(tmp_path) as group:
        made = Bench(tmp_path, group)
        yield made
        made.diary.close()


async def ready(worker: Worker) -> None:
    async with asyncio.timeout(20):
        await worker.ready.wait()


async def test_a_killed_worker_is_started_again_with_what_was_set_meanwhile(bench: Bench) -> None:
    bench.worker.keep()
    await ready(bench.worker)
    between: list[str] = []
    bench.worker.pause_s = 0.01
    bench.worker.settings["A"] = "1"
    bench.worker.between = lambda: between.append("done")
    bench.worker.kill()
    await ready(bench.worker)
    await bench.worker.give_up()

    assert between == ["done"]
    assert bench.settings == [{}, {"A": "1"}]
    assert bench.noted("what", "code")[:6] == [
        ("start", None), ("ready", None), ("kill", None), ("exit", -9), ("start", None),
        ("ready", None),
    ]  # fmt: skip


async def test_one_that_is_given_up_stays_ended_and_its_exit_is_noted_once(bench: Bench) -> None:
    bench.worker.keep()
    await ready(bench.worker)
    await bench.worker.give_up()
    assert not bench.worker.ready.is_set()
    assert [what for (what,) in bench.noted("what")].count("start") == 1
    exits = [code for what, code in bench.noted("what", "code") if what == "exit"]
    assert exits == [-15]


async def test_a_frozen_one_goes_on_when_it_is_thawed(bench: Bench) -> None:
    bench.worker.freeze()  # before its first start there is nothing to freeze
    bench.worker.keep()
    await ready(bench.worker)
    bench.worker.freeze()
    bench.worker.thaw()
    await bench.worker.give_up()
    assert ("termed",) in bench.noted("what")
