"""What an operator does at random, and when: a seed gives the plan, and the same one each time. No I/O.

Which scan a command hits is chosen when its time has come, from what the events told until then: one
that waits, runs, is over or UNKNOWN. HOLD of a device brings its RELEASE with it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from models.events import FINAL
from models.events import ScanState as S
from models.scan import ScanCommandKind as K
from sandbox.chaos.seen import Seen
from sandbox.chaos.traffic import NO_RECORD, Sender

ACTS_A_MINUTE: Final = 14
HOLDS_A_MINUTE: Final = 3
REASON: Final = "private: Mrs Example is not well"
"""What nobody but the operator may read again: a reason is free text, and goes into no event."""
PEOPLE: Final = ("Ada", "Ben", None)
NOBODY: Final = "nobody"


class Aim(StrEnum):
    """Whom a command is for."""

    WAITING = "waiting"
    BEGUN = "begun"
    NEWEST = "newest"
    ENDED = "ended"
    UNKNOWN = "unknown"
    NOBODY = "nobody"
    DEVICE = "device"


_OF: Final = {
    Aim.WAITING: frozenset({S.ACCEPTED, S.WAITING, S.QUEUED, S.HELD, S.READY}),
    Aim.BEGUN: frozenset({S.STARTING, S.STARTED, S.RUNNING, S.ACQUIRED, S.RECONSTRUCTING}),
    Aim.ENDED: FINAL,
    Aim.UNKNOWN: frozenset({S.UNKNOWN}),
    Aim.NEWEST: frozenset(S),
}
_AIMS: Final = (
    *(Aim.WAITING,) * 8, *(Aim.NEWEST,) * 2, *(Aim.BEGUN,) * 4, *(Aim.ENDED,) * 3, Aim.UNKNOWN,
    Aim.NOBODY, Aim.NOBODY,
)  # fmt: skip
_KINDS: Final = (
    *(K.CANCEL,) * 4, K.STOP, K.STOP, K.PAUSE, K.PAUSE, K.HOLD, K.HOLD, K.RESUME, K.RELEASE,
    K.CONFIRM,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that the operator does, `t` seconds after the start."""

    t: float
    command: K
    aim: Aim
    device: str
    sender: Sender
    by: str | None
    choice: float
    """From 0 to 1: which of those that are aimed at."""
    by_record: bool
    again_s: float | None
    """So much later the same command comes once more, with the same id."""
    lasting: float = 0.0
    """How long a device stays on hold."""


def make_acts(seed: int, seconds: float, devices: Sequence[str]) -> tuple[Act, ...]:
    """Give all that the operator does at random in a run, by time."""
    dice = random.Random(f"{seed}/acts")  # noqa: S311 - no secret, and must repeat

    def act(command: K, aim: Aim, *, late: float = 0.0, **more: Any) -> Act:
        again = dice.random() < 0.2  # noqa: PLR2004
        return Act(
            t=round(dice.uniform(0, max(0.0, seconds - late)), 2),
            command=command,
            aim=aim,
            device=dice.choice(list(devices)),
            by=dice.choice(PEOPLE),
            choice=dice.random(),
            by_record=dice.random() < 0.4,  # noqa: PLR2004
            again_s=round(dice.uniform(0, 2), 2) if again else None,
            **more,
        )

    acts = [
        act(dice.choice(_KINDS), dice.choice(_AIMS), sender=dice.choice(tuple(Sender)))
        for _ in range(round(seconds / 60 * ACTS_A_MINUTE))
    ]
    for _ in range(round(seconds / 60 * HOLDS_A_MINUTE)):
        lasting = round(dice.uniform(3, 9), 2)
        # By one producer, so that its RELEASE does not overtake it.
        acts.append(act(K.HOLD, Aim.DEVICE, late=lasting, sender=Sender.MURMUR2, lasting=lasting))
    return tuple(sorted(acts, key=lambda one: (one.t, one.device, one.choice)))


def order_of(act: Act, command_id: str, seen: Sequence[Seen]) -> dict[str, Any]:
    """Give a command's body; where nobody is as wanted it is for the newest scan, or for nobody."""
    body: dict[str, Any] = {
        "command_id": command_id,
        "command": act.command.value,
        "device_id": act.device,
        "reason": REASON,
    }
    if act.by is not None:
        body["by"] = act.by
    if act.command is K.CONFIRM:
        # Of an attempt that no scan has: a wrong word of the operator's would start a scan twice.
        body |= {"started": act.choice < 0.5, "attempt": 99}  # noqa: PLR2004
    if act.aim is Aim.DEVICE:
        return body
    chosen = _choose(act, seen)
    if chosen is None:
        number = NO_RECORD + int(act.choice * 1000)
        return body | ({"record_id": number} if act.by_record else {"scan_request_id": NOBODY})
    body["device_id"] = chosen.device
    if act.by_record and chosen.record is not None:
        return body | {"record_id": chosen.record}
    return body | {"scan_request_id": chosen.request}


def _choose(act: Act, seen: Sequence[Seen]) -> Seen | None:
    if act.aim is Aim.NOBODY or not seen:
        return None
    meant = [one for one in seen if one.state in _OF[act.aim]]
    if act.aim is Aim.NEWEST or not meant:
        return max(seen, key=lambda one: (one.ms, one.device, one.request))
    meant.sort(key=lambda one: (one.ms, one.device, one.request))
    return meant[int(act.choice * len(meant))]
