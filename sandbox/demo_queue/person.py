"""The person at the terminal, who has looked at the scanner; where there is none, the demo answers."""

import asyncio
import os
import sys
from typing import Final, NamedTuple

from sandbox.demo.parts import Say

_WORDS: Final = {"y": True, "yes": True, "n": False, "no": False}


class Answer(NamedTuple):
    """What was answered, and whether a person did."""

    yes: bool
    by_person: bool


def terminal() -> int | None:
    """Give the file number of the terminal at which somebody reads and types; None if nobody does."""
    return sys.stdin.fileno() if sys.stdin.isatty() and sys.stdout.isatty() else None


async def ask(
    say: Say, question: str, *, terminal: int | None, default: bool, limit_s: float
) -> Answer:
    """Ask a question that is answered by yes or no; with `default` where nobody does in time."""
    letter = "y" if default else "n"
    if terminal is None:
        say(f"{question} Nobody is asked, as this is no terminal: the demo answers {letter}.")
        return Answer(default, by_person=False)
    say(f"{question} [y/n] (after {limit_s:g} s the demo answers {letter})")
    try:
        async with asyncio.timeout(limit_s):
            while (line := await _line(terminal)) is not None:
                word = line.strip().lower()
                if word in _WORDS:
                    return Answer(_WORDS[word], by_person=True)
                say("Please answer y or n.")
    except TimeoutError:
        pass
    say(f"No answer: the demo answers {letter}.")
    return Answer(default, by_person=False)


async def _line(terminal: int) -> str | None:
    """Give the line that is typed next; None when the terminal is gone."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[None] = loop.create_future()

    def ready() -> None:
        if not typed.done():
            typed.set_result(None)

    loop.add_reader(terminal, ready)
    try:
        await typed
    finally:
        loop.remove_reader(terminal)
    try:
        line = os.read(terminal, 1024)  # a terminal gives whole lines
    except OSError:
        return None
    return line.decode(errors="replace") if line else None
