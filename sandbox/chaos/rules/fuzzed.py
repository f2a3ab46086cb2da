"""Bad input stops nothing: each random message is accounted for, and no worker ended by one."""

from collections.abc import Iterator

from sandbox.chaos.history import History
from sandbox.chaos.rules.violation import Violation


def accounted(history: History) -> Iterator[Violation]:
    """Every random message came to an end, and every partition to its own."""
    for problem in history.fuzzed.problems if history.fuzzed is not None else ():
        yield Violation(rule="fuzz", sentence=problem)
