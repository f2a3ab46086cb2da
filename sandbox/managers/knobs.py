"""Faults that can be switched at run time: what they are called, and what they do to a request.

The whole set is replaced by each POST to `/_sandbox/knobs`. A request takes the first rule that
matches its method and path, else the values at the top. A number of next requests (`drop_after`: 1)
counts down and is shown counting by GET.
"""

import random
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0, le=600_000)]
Outage = Literal["refuse", "close", "hang", "500"]


class Fault(BaseModel):
    """What may go wrong with a request, in the order in which it is looked at."""

    # A typing error in a fault's name would make a test pass for nothing.
    model_config = ConfigDict(extra="forbid")

    outage: Outage | None = None
    """refuse: the port does not listen. close: hangs up. hang: never answers. 500: always that."""
    latency_ms: Milliseconds = 0
    """Before the work; it is done even if the client has gone away meanwhile, as servers do."""
    drop_before: Count = 0
    """The next N: the connection is dropped, nothing is done."""
    drop_before_rate: Rate = 0
    errors: Count = 0
    """The next N: 500, nothing is done."""
    error_rate: Rate = 0
    drop_after: Count = 0
    """The next N: done, then the connection is dropped without an answer."""
    drop_after_rate: Rate = 0
    hang_after: Count = 0
    """The next N: done, and never answered."""
    hang_after_rate: Rate = 0
    answer_latency_ms: Milliseconds = 0
    """Between the work and the answer."""
    answer_status: int | None = Field(default=None, ge=200, le=599)
    """Done, but answered with this status (and `Internal Server Error` from 500 on)."""


class Rule(Fault):
    """A fault for some requests: `path` is a pattern with `*`, `method` a name or `*`."""

    method: str = "*"
    path: str = "*"

    @field_validator("outage")
    @classmethod
    def _a_port_is_whole(cls, outage: Outage | None) -> Outage | None:
        if outage == "refuse":
            raise ValueError("a port refuses all or nothing: set it at the top")
        return outage

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request is meant."""
        return self.method in ("*", method) and fnmatchcase(path, self.path)


class Knobs(Fault):
    """All faults of one service; `seed` makes the rates repeatable."""

    seed: int = 0
    rules: list[Rule] = Field(default_factory=list)


Before = Literal["go", "500", "drop", "hang"]
After = Literal["answer", "drop", "hang"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one request; `cause` goes into the log."""

    before: Before = "go"
    after: After = "answer"
    wait_s: float = 0.0
    answer_wait_s: float = 0.0
    answer_status: int | None = None
    cause: str = "answered"


K = TypeVar("K", bound=Knobs)


class Faults(Generic[K]):
    """The knobs as they stand, and the dice."""

    def __init__(self, knobs: K) -> None:
        self.default = knobs.model_copy(deep=True)
        self.set(knobs)

    def set(self, knobs: K) -> None:
        """Take a new set."""
        self.knobs = knobs
        self._dice = random.Random(knobs.seed)  # noqa: S311 - no secret, and must repeat

    def plan(self, method: str, path: str) -> Plan:
        """Decide what happens to a request; counts down what is counted."""
        whole = self.knobs
        if whole.outage is not None:
            return _outage(whole.outage)
        fault: Fault = next((r for r in whole.rules if r.matches(method, path)), whole)
        if fault.outage is not None:
            return _outage(fault.outage)
        plan = self._strike(fault)
        wait_s, answer_wait_s = fault.latency_ms / 1000, fault.answer_latency_ms / 1000
        return replace(plan, wait_s=wait_s, answer_wait_s=answer_wait_s)

    def _strike(self, fault: Fault) -> Plan:
        if self._strikes(fault, "drop_before"):
            return Plan(before="drop", cause="dropped-before")
        if self._strikes(fault, "errors", "error_rate"):
            return Plan(before="500", cause="error")
        if self._strikes(fault, "drop_after"):
            return Plan(after="drop", cause="dropped-after")
        if self._strikes(fault, "hang_after"):
            return Plan(after="hang", cause="hung-after")
        if fault.answer_status is not None:
            return Plan(answer_status=fault.answer_status, cause="answered-otherwise")
        return Plan()

    def _strikes(self, fault: Fault, count: str, rate: str | None = None) -> bool:
        left = getattr(fault, count)
        if left > 0:
            setattr(fault, count, left - 1)
            return True
        chance: float = getattr(fault, rate or f"{count}_rate")
        return chance > 0 and self._dice.random() < chance


def _outage(outage: Outage) -> Plan:
    # A request that was under way when the port closed is dropped like one that comes in `close`.
    kinds: dict[Outage, Before] = {"refuse": "drop", "close": "drop", "hang": "hang", "500": "500"}
    return Plan(before=kinds[outage], cause=f"outage-{outage}")
