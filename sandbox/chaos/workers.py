"""One worker with its supervisor: whatever ends it, it is started again after a short pause."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from sandbox.chaos.diary import Diary
from sandbox.processes import Process

PAUSE_S: Final = 0.5
"""What a supervisor waits before it starts an ended worker again, if a fault says nothing else."""
TERM_S: Final = 20.0
"""A worker that has not ended by then after SIGTERM is killed, and that is noted."""
_POLL_S: Final = 0.05
_READY: Final = b"Worker ready"

Start = Callable[[str, Mapping[str, str]], Process]


class Worker:
    """A worker's name and settings, through all its processes."""

    def __init__(self, name: str, start: Start, diary: Diary) -> None:
        self.name = name
        self.settings: dict[str, str] = {}
        """Settings of the next process, beside those that all have."""
        self.between: Callable[[], None] | None = None
        """Done once, before the next process is started."""
        self.pause_s = PAUSE_S
        self.ready = asyncio.Event()
        self._start = start
        self._diary = diary
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    def keep(self) -> None:
        """Start it, and from now on start it again whenever it ends."""
        self._keeper = asyncio.create_task(self._keep())

    async def give_up(self) -> None:
        """End it in order, and leave it ended."""
        await self.forsake()
        await self.terminate()
        self._note_end()

    async def forsake(self) -> None:
        """Start it no more, and leave it as it is."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._diary.note("kill", worker=self.name)
            self.ready.clear()
            self._process.kill()

    def freeze(self) -> None:
        """SIGSTOP."""
        if self._process is not None:
            self._process.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.thaw()

    async def terminate(self) -> None:
        """SIGTERM, and wait for the end."""
        process = self._process
        if process is None or not process.running:
            return
        self._diary.note("term", worker=self.name)
        self.ready.clear()
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(process.terminate, TERM_S)
        took = asyncio.get_running_loop().time() - began
        self._diary.note("termed", worker=self.name, seconds=round(took, 2))

    async def _keep(self) -> None:
        while True:
            if self.between is not None:
                self.between()
                self.between = None
            self._process = process = self._start(self.name, self.settings)
            self._diary.note("start", worker=self.name, settings=self.settings)
            at, rest = process.log_position, b""
            while process.running:
                rest, at = self._look(process, rest, at)
                await asyncio.sleep(_POLL_S)
            self._note_end()
            pause, self.pause_s = self.pause_s, PAUSE_S
            await asyncio.sleep(pause)

    def _note_end(self) -> None:
        self.ready.clear()
        if self._process is not None:
            self._diary.note("exit", worker=self.name, code=self._process.exit_code)
            self._process = None

    def _look(self, process: Process, rest: bytes, at: int) -> tuple[bytes, int]:
        """See in its log whether it is ready; gives what is to be looked at once more."""
        if self.ready.is_set():
            return rest, at
        with process.log_file.open("rb") as log:
            log.seek(at)
            read = log.read()
        if _READY in rest + read:
            self.ready.set()
            self._diary.note("ready", worker=self.name)
        return (rest + read)[-len(_READY) :], at + len(read)
