"""The checker: decides from the histories of all parties whether every promise was kept. No I/O."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sandbox.chaos.history import History
from sandbox.chaos.rules import (
    commands,
    fuzzed,
    holds,
    letters,
    overdue,
    queue,
    records,
    results,
    scans,
    spells,
    starts,
    whole,
    work,
    workflows,
)
from sandbox.chaos.rules.violation import Violation
from sandbox.chaos.story import story

Rule = Callable[[History], Iterator[Violation]]
RULES: Final[tuple[Rule, ...]] = (
    scans.kept,
    scans.ended,
    scans.hopped,
    scans.walked,
    scans.unknown,
    holds.held,
    holds.in_time,
    holds.kept,
    holds.left,
    records.counted,
    records.spared,
    starts.started,
    starts.agreed,
    spells.alone,
    queue.ordered,
    queue.placed,
    queue.moved_on,
    commands.answered,
    commands.obeyed,
    commands.unasked,
    commands.private,
    overdue.overdue,
    overdue.leased,
    overdue.unseen,
    work.left_over,
    results.taken_in,
    results.reconstructed,
    results.completed,
    letters.buried,
    workflows.came_to_an_end,
    workflows.fitting,
    workflows.sent_once,
    workflows.in_order,
    workflows.never_back,
    workflows.answered,
    workflows.told_there,
    whole.recovered,
    whole.progressed,
    fuzzed.accounted,
)

SIDE_BY_SIDE: Final = (
    *(rule for rule in RULES if rule not in (holds.in_time, holds.held, overdue.overdue)),
    workflows.alone_once,
)
"""For workflows side by side: there limits are as long as in life, and nobody does anything to them."""


def check(history: History, rules: Sequence[Rule] = RULES) -> list[Violation]:
    """Judge a run by all rules, or by these."""
    return [violation for rule in rules for violation in rule(history)]


def tell(history: History, violation: Violation) -> str:
    """Tell a violation with its seed and the whole history of what it is about."""
    head = f"VIOLATION (seed {history.seed}) {violation.rule}: {violation.sentence}"
    if not violation.about:
        return head
    named = ", ".join(one for one in violation.about if one)
    return "\n".join([f"{head} [{named}]", *(f"    {x}" for x in story(history, *violation.about))])
