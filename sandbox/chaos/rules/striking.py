"""What struck in a span of time: the reasons that a rule accepts for what is otherwise forbidden."""

from collections.abc import Container
from typing import Final

from sandbox.chaos.history import History
from sandbox.chaos.plan import Kind

OWNERSHIP: Final = frozenset(
    kind.value for kind in Kind if kind.value.startswith(("worker-", "broker-", "link-"))
) | {Kind.STATE_DELETED.value, Kind.CLOCK_STEPPED.value}
"""Faults after which a partition may have another owner, or its owner's work was cut off."""
_ENDS: Final = frozenset({"kill", "exit", "term", "start"})


def struck(
    history: History,
    since_s: float,
    until_s: float,
    kinds: Container[str],
    *,
    target: str | None = None,
) -> bool:
    """Tell whether a fault of some kinds, and where given of one target, was on in a span of time."""
    begun: dict[tuple[str, str], float] = {}
    for line in history.runner:
        at, what = float(line["wall"]), line["what"]
        key = (str(line.get("kind")), str(line.get("target")))
        meant = key[0] in kinds and target in (None, key[1])
        if what == "fault-begins" and meant:
            begun[key] = at
        elif what == "fault-ends" and meant and begun.pop(key, at) <= until_s and at >= since_s:
            return True
    return any(at <= until_s for at in begun.values())


def worker_ended(history: History, since_s: float, until_s: float) -> bool:
    """Tell whether any worker ended, was told to, or came (which moves partitions) in a span."""
    return any(
        line["what"] in _ENDS and since_s <= float(line["wall"]) <= until_s
        for line in history.runner
    )
