"""Which faults strike when: a seed gives the whole plan, and the same one each time. No I/O.

Each target has its faults one after the other, with a rest behind each: two signals to one process
at once would show nothing that one does not. Faults of different targets overlap as they fall.
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

SESSION_S: Final = 10.0
"""The workers' session at the broker: what is away for longer loses its partitions."""


class Kind(StrEnum):
    """Kinds of faults; each strikes at least once in a run."""

    WORKER_KILL = "worker-kill"
    WORKER_FREEZE = "worker-freeze"
    WORKER_UPGRADE = "worker-upgrade"
    WORKER_ADDED = "worker-added"
    STATE_DELETED = "state-deleted"
    CLOCK_STEPPED = "clock-stepped"
    BROKER_KILL = "broker-kill"
    BROKER_FREEZE_SHORT = "broker-freeze-short"
    BROKER_FREEZE_LONG = "broker-freeze-long"
    LINK_CUT = "link-cut"
    LINK_STALL = "link-stall"
    LINK_DELAY = "link-delay"
    MANAGER_REFUSE = "manager-refuse"
    MANAGER_SLOW = "manager-slow"
    MANAGER_500 = "manager-500"
    MANAGER_HANG = "manager-hang"
    MANAGER_DROP = "manager-drop"
    DEVICE_REFUSE = "device-refuse"
    DEVICE_SLOW = "device-slow"
    DEVICE_500 = "device-500"
    DEVICE_HANG = "device-hang"
    DEVICE_DROP = "device-drop"
    DEVICE_LOST = "device-lost"
    HOLD_AND_KILL = "hold-and-kill"
    DISK_FULL = "disk-full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: `t` seconds after the start, for `seconds`; what `parameters` mean is its kind's."""

    t: float
    kind: Kind
    target: str
    seconds: float
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a kind strikes, how long it lasts, and the rest that its target needs afterwards."""

    group: str
    least: float
    most: float
    rest: float


_SHAPES: Final[Mapping[Kind, _Shape]] = {
    # For those that end a worker the time is the pause before it is started again.
    Kind.WORKER_KILL: _Shape("worker", 0.5, 3, 5),
    Kind.WORKER_FREEZE: _Shape("worker", SESSION_S + 2, SESSION_S + 5, 6),
    Kind.WORKER_UPGRADE: _Shape("worker", 0.2, 2, 7),
    Kind.WORKER_ADDED: _Shape("extra", 15, 30, 10),
    Kind.STATE_DELETED: _Shape("worker", 0.5, 2, 6),
    Kind.CLOCK_STEPPED: _Shape("worker", 0.5, 2, 6),
    Kind.BROKER_KILL: _Shape("broker", 0.5, 4, 8),
    Kind.BROKER_FREEZE_SHORT: _Shape("broker", 2, SESSION_S - 4, 4),
    Kind.BROKER_FREEZE_LONG: _Shape("broker", SESSION_S + 1, SESSION_S + 4, 8),
    Kind.LINK_CUT: _Shape("link", 0.5, SESSION_S + 3, 5),
    Kind.LINK_STALL: _Shape("link", 3, SESSION_S + 4, 6),
    Kind.LINK_DELAY: _Shape("link", 5, 15, 2),
    Kind.MANAGER_REFUSE: _Shape("manager", 2, 8, 2),
    Kind.MANAGER_SLOW: _Shape("manager", 4, 12, 2),
    Kind.MANAGER_500: _Shape("manager", 3, 8, 2),
    Kind.MANAGER_HANG: _Shape("manager", 3, 8, 2),
    # Making a record is the one thing at the managers that is not idempotent.
    Kind.MANAGER_DROP: _Shape("exam", 4, 10, 2),
    Kind.DEVICE_REFUSE: _Shape("device", 2, 10, 2),
    Kind.DEVICE_SLOW: _Shape("device", 4, 12, 2),
    # A scanner has one START at a time, so these last until they meet one.
    Kind.DEVICE_500: _Shape("device", 14, 22, 2),
    Kind.DEVICE_HANG: _Shape("device", 8, 14, 2),
    Kind.DEVICE_DROP: _Shape("device", 8, 16, 2),
    # It takes a START, and nothing comes of that scan any more.
    Kind.DEVICE_LOST: _Shape("device", 3, 8, 30),
    # The operator puts a device on hold, a worker is killed meanwhile, and the device released.
    Kind.HOLD_AND_KILL: _Shape("worker", 6, 12, 5),
    Kind.DISK_FULL: _Shape("lake", 3, 7, 3),
}
GROUPS: Final = frozenset(shape.group for shape in _SHAPES.values())
_FULLEST: Final = 0.75
"""Share of a target's time that faults may take, once every kind has its place."""


def make_plan(
    seed: int,
    seconds: float,
    targets: Mapping[str, Sequence[str]],
    *,
    kinds: Iterable[Kind] = tuple(Kind),
    at_least: int = 0,
) -> tuple[Fault, ...]:
    """Give the faults of a run, by time. `targets` names what each group of GROUPS consists of.

    Raises ValueError where the time is too short for one of each kind.
    """
    dice = random.Random(f"{seed}/faults")  # noqa: S311 - no secret, and must repeat
    wanted = [kind for kind in kinds if targets.get(_SHAPES[kind].group)]
    tracks: dict[str, list[Fault]] = {}
    used: dict[str, float] = {}
    first = dice.sample(wanted, len(wanted))
    more = [dice.choice(wanted) for _ in range(at_least * 3)] if wanted else []
    for number, kind in enumerate([*first, *more]):
        if number >= max(at_least, len(first)):
            break
        shape = _SHAPES[kind]
        names = targets[shape.group]
        target = min(dice.sample(names, len(names)), key=lambda name: used.get(name, 0.0))
        lasting = round(dice.uniform(shape.least, shape.most), 2)
        need = lasting + shape.rest
        if used.get(target, 0.0) + need > seconds * (1 if number < len(first) else _FULLEST):
            if number < len(first):
                raise ValueError(f"{seconds:g} s are too short for one fault of each kind")
            continue
        used[target] = used.get(target, 0.0) + need
        fault = Fault(
            t=0,
            kind=kind,
            target=target,
            seconds=lasting,
            parameters=_parameters(kind, targets, dice),
        )
        tracks.setdefault(target, []).append(fault)
    placed = [fault for name in sorted(tracks) for fault in _spread(tracks[name], seconds, dice)]
    return tuple(sorted(placed, key=lambda fault: (fault.t, fault.target)))


def to_json(plan: Iterable[Fault]) -> str:
    """Write a plan, a fault a line."""
    lines = [
        json.dumps([fault.t, fault.kind, fault.target, fault.seconds, dict(fault.parameters)])
        for fault in plan
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def from_json(text: str) -> tuple[Fault, ...]:
    """Read a plan that was written by `to_json`, or by hand."""
    return tuple(
        Fault(t=t, kind=Kind(kind), target=target, seconds=seconds, parameters=parameters)
        for t, kind, target, seconds, parameters in json.loads(text)
    )


def _spread(faults: list[Fault], seconds: float, dice: random.Random) -> list[Fault]:
    """Put one target's faults in a random order at random times, one after the other."""
    dice.shuffle(faults)
    free = seconds - sum(fault.seconds + _SHAPES[fault.kind].rest for fault in faults)
    gaps = sorted(dice.uniform(0, free) for _ in faults)
    spread, taken = [], 0.0
    for fault, gap in zip(faults, gaps, strict=True):
        at = round(gap + taken, 2)
        spread.append(
            Fault(
                t=at,
                kind=fault.kind,
                target=fault.target,
                seconds=fault.seconds,
                parameters=fault.parameters,
            )
        )
        taken += fault.seconds + _SHAPES[fault.kind].rest
    return spread


def _parameters(
    kind: Kind, targets: Mapping[str, Sequence[str]], dice: random.Random
) -> dict[str, Any]:
    if kind is Kind.HOLD_AND_KILL:
        return {"device": dice.choice(targets["device"])}
    if kind is Kind.CLOCK_STEPPED:
        return {"offset_s": dice.choice((-3600, 3600))}
    if kind is Kind.LINK_DELAY:
        return {"delay_ms": dice.randint(20, 300)}
    what = kind.value.partition("-")[2]
    if kind.value.startswith(("manager-", "device-")):
        return _knobs(what, kind.value.startswith("device-"), dice)
    return {}


def _knobs(what: str, device: bool, dice: random.Random) -> dict[str, Any]:
    """Give the knobs of a service's fault.

    A START that is answered badly makes its scan UNKNOWN, so for devices those faults count
    requests, not time: a backlog that passes would become nothing but UNKNOWNs.
    """
    if what == "lost":
        # Silent from the START on, or all statuses and no data.
        return {"upload": False, "silent": dice.random() < 0.5}  # noqa: PLR2004
    if what == "refuse":
        return {"outage": "refuse"}
    if what == "hang":
        return {"outage": "hang"}
    if what == "slow":
        return {dice.choice(("latency_ms", "answer_latency_ms")): dice.randint(300, 4000)}
    if what == "500":
        return {"errors": dice.randint(1, 3)} if device else {"error_rate": dice.choice((0.4, 1.0))}
    return {"drop_after": dice.randint(1, 3)} if device else {"drop_after_rate": 0.6}
