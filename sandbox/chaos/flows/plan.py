"""Which workflows a run has, and what is asked of each: a seed gives the same ones each time. No I/O.

Each has three tasks: a scan, its reconstruction, and a certified task of a processing service.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from models import wire
from models.managers import TaskType
from sandbox.chaos.traffic import LIMITS, PARAMETERS, SEQUENCE_ID, Sender

TYPES: Final = (
    TaskType.DEVICE_TASK,
    TaskType.PROCESSING_TASK,
    TaskType.CERTIFIED_PROCESSING_TASK,
)
_PRIORITIES: Final = ("",) * 6 + ("1", "7", "many")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A workflow, started `t` seconds after the start; all other times are seconds after that."""

    t: float
    number: int
    id: str
    tasks: tuple[str, str, str]
    """Ids of the scan, its reconstruction, and the service's task."""
    device: str
    sender: Sender
    priority: str = ""
    again_s: float | None = None
    """The same start comes once more."""
    status_s: float | None = None
    cancel_s: float | None = None
    left: bool = False
    """Once cancelled it stays so; all others are resumed until they are completed."""
    fails: bool = False
    """The service reports a failure first."""

    @property
    def mark(self) -> str:
        """How the marks of what is sent for it begin."""
        return f"flow-{self.number:05d}"


def make_flows(seed: int, seconds: float, count: int, devices: Sequence[str]) -> tuple[Flow, ...]:
    """Give the workflows of a run by their times, with what a person does to them."""
    dice = random.Random(f"{seed}/flows")  # noqa: S311 - no secret, and must repeat

    def maybe(share: float, most_s: float) -> float | None:
        at = round(dice.uniform(0.1, most_s), 2)
        return at if dice.random() < share else None

    flows = [
        Flow(
            t=round(seconds * 0.9 * (number + dice.random()) / count, 2),
            number=number,
            sender=dice.choice(tuple(Sender)),
            device=dice.choice(list(devices)),
            priority=dice.choice(_PRIORITIES),
            again_s=maybe(0.3, 10),
            status_s=maybe(0.3, 10),
            cancel_s=maybe(0.25, 6),
            left=dice.random() < 0.4,  # noqa: PLR2004
            fails=dice.random() < 0.25,  # noqa: PLR2004
            **_ids(dice),
        )
        for number in range(count)
    ]
    return tuple(sorted(flows, key=lambda flow: flow.t))


def make_crowd(seed: int, count: int, devices: Sequence[str]) -> tuple[Flow, ...]:
    """Give workflows that all begin at once, with nothing done to them; a service fails for some."""
    dice = random.Random(f"{seed}/crowd")  # noqa: S311 - no secret, and must repeat
    return tuple(
        Flow(
            t=0,
            number=number,
            sender=Sender.MURMUR2,
            device=devices[number % len(devices)],
            fails=number % 10 == 0,
            **_ids(dice),
        )
        for number in range(count)
    )


def _ids(dice: random.Random) -> dict[str, Any]:
    def one() -> str:
        return str(UUID(int=dice.getrandbits(128), version=4))

    return {"id": one(), "tasks": (one(), one(), one())}


def rows(flows: Iterable[Flow], prefix: str) -> dict[str, list[dict[str, Any]]]:
    """Give what the exam manager is to know of them; topics by their real names."""
    workflows, tasks = [], []
    for flow in flows:
        workflows.append({"id": flow.id, "comment": f"chaos {flow.number}"})
        places = (
            {"device": flow.device},
            {"topic": prefix + wire.RECO_JOBS},
            {"topic": prefix + wire.TASK_EVENTS},
        )
        for number, (task, kind, place) in enumerate(zip(flow.tasks, TYPES, places, strict=True)):
            tasks.append({
                "id": task, "workflow_id": flow.id, "type": kind.value, "destinations": place,
                "args": _args(flow, number),
                "datetime_created": f"2026-01-01T00:00:0{number}.000000",
            })  # fmt: skip
    return {"workflows": workflows, "tasks": tasks}


def _args(flow: Flow, number: int) -> dict[str, str]:
    if number > 0:  # what stands here before anything ran is a placeholder
        return {"record_id": "42", "input": "records/42/kspace.npy"}
    args = {
        "sequence_id": SEQUENCE_ID,
        "acquisition_limits": json.dumps(LIMITS),
        "sequence_parameters": json.dumps(PARAMETERS),
    }
    return args | ({"priority": flow.priority} if flow.priority else {})
