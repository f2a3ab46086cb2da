"""Where the story plays: the processor's real commands, and the exam manager."""

import asyncio
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from sandbox.demo.edge import plain
from sandbox.demo.parts import Parts
from sandbox.demo_workflow.plan import Plan
from sandbox.demo_workflow.proof import Known
from sandbox.processes import Process

SOON_S: Final = 20.0
"""How long the exam manager may take to be told of what has happened."""
_COMMAND_S: Final = 60.0
_LOOK_S: Final = 0.1
_MARGIN: Final = "  | "


class StoryError(Exception):
    """It did not come as told; the text is a sentence."""


class Stage:
    """What the story sees and does."""

    def __init__(self, parts: Parts, console: Console) -> None:
        self.say = plain(console)
        self._parts = parts
        self._console = console
        self._commands = 0

    def tell(self, text: str) -> None:
        """Say what comes next."""
        self._console.print()
        self._console.print(text, style="bold", markup=False, highlight=False)

    async def type(self, *arguments: str, code: int = 0) -> None:
        """Run one of the processor's commands, and show what it writes while it writes it.

        Raises StoryError if it does not end with the exit code that it should.
        """
        self._commands += 1
        typed = f"faust -A faust_app {' '.join(arguments)}"
        self.say(f"  $ {typed}")
        at_terminal = self._console.is_terminal
        columns = self._console.width - len(_MARGIN) if at_terminal else None
        name = f"command-{self._commands}-{arguments[0]}"
        process = self._parts.command(name, *arguments, columns=columns)
        await self._shown(process)
        self.say(f"  (exit code {process.exit_code})")
        if process.exit_code != code:
            raise StoryError(f"`{typed}` ended with {process.exit_code}, not {code}")

    async def _shown(self, process: Process) -> None:
        """Show a program's lines until it ends."""
        shown = 0
        until = time.monotonic() + _COMMAND_S
        while True:
            ended = not process.running  # asked before reading, so that its last words count
            lines = _whole_lines(process.log_file, ended=ended)
            for line in lines[shown:]:
                self._console.print(Text(_MARGIN) + Text.from_ansi(line), soft_wrap=True)
            shown = len(lines)
            if ended:
                return
            if time.monotonic() > until:
                raise StoryError(f"{process.name} did not end within {_COMMAND_S:g} s")
            self._parts.check()
            await asyncio.sleep(_LOOK_S)

    async def told(self, plan: Plan, *states: str, finished: bool) -> None:
        """Wait until the exam manager has been told so, and say it. Raises StoryError."""
        known, until = Known(), time.monotonic() + SOON_S
        while known.finished != finished or [known.tasks.get(t) for t in plan.tasks] != [*states]:
            if time.monotonic() > until:
                raise StoryError(f"the exam manager has {_written(plan, known)}")
            self._parts.check()
            await asyncio.sleep(_LOOK_S)
            known = await self.known(plan)
        self.say(f"  The exam manager has: {_written(plan, known)}.")

    async def known(self, plan: Plan) -> Known:
        """Ask the exam manager how far it has a workflow."""
        path = f"/api/v1/exam/workflow/{plan.id}"
        given = await asyncio.to_thread(self._parts.ask, "exam", path)
        tasks = {str(task["id"]): next(iter(task["status"]), "") for task in given["tasks"]}
        return Known(finished=given["is_finished"], tasks=tasks)


def _written(plan: Plan, known: Known) -> str:
    states = ", ".join(known.tasks.get(task, "nothing") for task in plan.tasks)
    return f"tasks {states}; the workflow is {'' if known.finished else 'not '}finished"


def _whole_lines(log: Path, *, ended: bool) -> list[str]:
    text = log.read_text(errors="replace")
    return text.splitlines() if ended else text[: text.rfind("\n") + 1].splitlines()
