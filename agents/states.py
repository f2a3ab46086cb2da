"""The states of a scan: what goes where (interface), for all aggregates. Plain data, no I/O."""

from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import Final

from models.events import ScanState

S = ScanState

TRANSITIONS: Final[Mapping[ScanState, tuple[ScanState, ...]]] = {
    S.ACCEPTED: (S.WAITING, S.HELD, S.QUEUED, S.READY, S.FAILED, S.CANCELLED),
    S.WAITING: (S.ACCEPTED, S.READY, S.HELD, S.FAILED, S.CANCELLED),
    S.QUEUED: (S.ACCEPTED, S.READY, S.HELD, S.FAILED, S.CANCELLED),
    S.HELD: (S.ACCEPTED, S.READY, S.FAILED, S.CANCELLED),
    S.READY: (S.STARTING, S.HELD, S.FAILED, S.CANCELLED),
    S.STARTING: (S.STARTED, S.UNKNOWN, S.READY, S.FAILED, S.RUNNING, S.ACQUIRED),
    S.UNKNOWN: (S.STARTED, S.RUNNING, S.ACQUIRED, S.READY, S.FAILED, S.CANCELLED),
    S.STARTED: (S.RUNNING, S.FAILED, S.CANCELLED),
    S.RUNNING: (S.ACQUIRED, S.FAILED, S.CANCELLED),
    S.ACQUIRED: (S.RECONSTRUCTING, S.FAILED, S.CANCELLED),
    S.RECONSTRUCTING: (S.COMPLETED, S.FAILED, S.CANCELLED),
    S.COMPLETED: (),
    S.FAILED: (),
    S.CANCELLED: (),
}
"""Interface: the states of a scan. Where the gateway is off, READY goes to RUNNING or ACQUIRED too."""

RANK: Final = {state: rank for rank, state in enumerate(TRANSITIONS)}

BACK: Final = {(S.STARTING, S.READY), (S.STARTING, S.HELD), (S.READY, S.HELD)}
"""Ways back that the device's aggregate orders: no byte was sent, or the job is too old."""


@cache
def path(start: ScanState, goal: ScanState, *, gateway: bool = True) -> tuple[ScanState, ...]:
    """Give the states between two, the goal included: each hop is one that the table allows.

    Evidence may come before the news of what led to it (topics have no common order): a status of a
    scan that we know as READY says that it was started. () if there is no way.
    """
    before: dict[ScanState, ScanState | None] = {start: None}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        nexts = TRANSITIONS[here]
        if here is S.READY and not gateway:
            nexts = (S.RUNNING, S.ACQUIRED, *nexts)
        for following in nexts:
            if following not in before:
                before[following] = here
                queue.append(following)
    way: list[ScanState] = []
    at: ScanState | None = goal if goal in before else None
    while at is not None and at is not start:
        way.append(at)
        at = before[at]
    return tuple(reversed(way))
