"""What the events told of a scan so far, and what a person is to do about it. No I/O."""

from dataclasses import dataclass
from typing import Any, Final

from models.events import ScanState as S
from models.scan import ScanCommandKind as K

LOOK_S: Final = 8.0
"""A person looks at the scanner so long after a scan became UNKNOWN: the slowest START needs 4 s."""
OVERDUE_S: Final = 3.0
HURRY_S: Final = 12.0
"""What is not in order so long after all faults is settled by hand."""
MOST_RELEASES: Final = 3
WITH_DEVICE: Final = ("its device is on hold", "it is not yet its turn")
"""Causes of HELD that end by themselves, or with the device's hold."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """A scan, by its last change of state."""

    device: str
    request: str
    state: str
    ms: int
    record: int | str | None = None
    attempt: int | None = None
    cause: str = ""
    heard_ms: int = 0
    """When its scanner's last status was announced."""
    overdue_ms: int = 0
    """When it was last announced as OVERDUE."""
    releases: int = 0
    """How often a person released it."""
    workflow: str | None = None
    """The workflow whose task it is."""

    @property
    def overdue(self) -> bool:
        """Whether it was announced as OVERDUE, and nothing happened since."""
        return self.overdue_ms >= max(self.ms, self.heard_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was last answered of a workflow: its status, and its tasks' in their order."""

    status: str
    tasks: tuple[str, ...]
    offset: int


def duty(seen: Seen, now_ms: float, *, taken: bool, roll: float, hurry: bool) -> dict[str, Any]:
    """Say what a person is to do about a scan now, as a command's fields; nothing if it is in order.

    `taken`: whether the scanner's own log has its START. `roll` from 0 to 1 decides between what is
    equally right. `hurry`: no faults are to come, and everything is to be brought to an end.
    """
    age_s = (now_ms - seen.ms) / 1000
    if seen.state == S.UNKNOWN:
        return _look(seen, taken=taken) if age_s >= LOOK_S else {}
    overdue_s = (now_ms - seen.overdue_ms) / 1000 if seen.overdue else 0.0
    if seen.state in (S.STARTED, S.RUNNING):
        return {"command": K.CANCEL} if overdue_s >= OVERDUE_S else {}
    if seen.state in (S.ACQUIRED, S.RECONSTRUCTING):
        return {"command": K.CANCEL} if hurry and overdue_s >= HURRY_S else {}
    if seen.state == S.HELD:
        return _held(seen, age_s, roll, hurry=hurry)
    return {}


def _look(seen: Seen, *, taken: bool) -> dict[str, Any]:
    word: dict[str, Any] = {"command": K.CONFIRM, "started": taken}
    return word if seen.attempt is None else word | {"attempt": seen.attempt}


def _held(seen: Seen, age_s: float, roll: float, *, hurry: bool) -> dict[str, Any]:
    if seen.cause in WITH_DEVICE:
        left_over = hurry and age_s >= HURRY_S
        return {"command": K.RELEASE, "device": True} if left_over else {}
    if age_s < (1.0 if hurry else 3 + 10 * roll):
        return {}
    if roll < 0.3 or seen.releases >= MOST_RELEASES:  # noqa: PLR2004
        return {"command": K.CANCEL}
    return {"command": K.RESUME if roll < 0.4 else K.RELEASE}  # noqa: PLR2004
