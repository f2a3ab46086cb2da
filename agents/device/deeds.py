"""What a person's command does to a job that has not been started: plain functions, no I/O."""

from typing import Final, NamedTuple

from agents.device import decide
from agents.device.state import RequestRow
from agents.states import RANK
from models.events import ScanState
from models.scan import ScanCommand, ScanCommandKind

K = ScanCommandKind
S = ScanState

NO_EMERGENCY_STOP: Final = "This is no emergency stop; the scanner's own button is."
_ENDING: Final = (K.CANCEL, K.STOP)
_HOLDING: Final = (K.HOLD, K.PAUSE)
_RELEASING: Final = (K.RELEASE, K.RESUME)


class Deed(NamedTuple):
    """What is done, and how it is answered: "taken: …" if anything is done."""

    answer: str
    goal: ScanState | None = None
    """CANCELLED, HELD, or ACCEPTED: it goes on."""
    advice: str | None = None


def asked(command: ScanCommand) -> str:
    """Say who asked, for the end of a sentence."""
    return f" (asked by {command.by})" if command.by else ""


def is_begun(row: RequestRow, *, gateway: bool) -> bool:
    """Tell whether its record's aggregate is to decide: the order is out, or may be."""
    if row.stage is S.READY:
        return not gateway
    return RANK[row.stage] > RANK[S.READY] and not row.stage.final


def to_job(row: RequestRow, command: ScanCommand) -> Deed:
    """Decide what a command does to a job that was not started (interface: states of a scan)."""
    kind, who = command.command, asked(command)
    queued = decide.held_with_device(row)
    deed, advice = None, None
    goal: ScanState | None = None
    if row.stage.final:
        deed = f"the scan is {row.stage}"
    elif kind in _ENDING:
        deed, goal = "cancelled before its start", S.CANCELLED
    elif kind in _HOLDING and row.stage is S.HELD and not queued:
        deed = "it is HELD already"
    elif kind in _HOLDING:
        deed, goal = "it is held until a person releases it", S.HELD
    elif kind in _RELEASING and queued:
        deed, advice = row.cause, row.advice
    elif kind in _RELEASING and row.stage is S.HELD:
        deed, goal = "it goes on", S.ACCEPTED
    elif kind in _RELEASING:
        deed = f"the job is {row.stage}, not HELD"
    else:
        deed = f"the scan is {row.stage}, not UNKNOWN"
    sentence = f"taken: {deed}{who}" if goal else f"{deed}: nothing was done{who}"
    return Deed(sentence, goal, advice)


def too_late(command: ScanCommand) -> Deed:
    """Decide for a scan that began while the command was on its way to it."""
    sentence = f"this device takes no {command.command}: nothing was done{asked(command)}"
    return Deed(sentence, advice=NO_EMERGENCY_STOP)


def to_device(command: ScanCommand, *, on_hold: bool, waiting: int) -> Deed:
    """Decide what a command does to a device: it can be put on hold, and released."""
    kind, who = command.command, asked(command)
    jobs = "1 job waits" if waiting == 1 else f"{waiting} jobs wait"
    if kind is K.HOLD:
        if on_hold:
            return Deed(f"the device is on hold already: nothing was done{who}")
        return Deed(f"taken: the device is on hold, {jobs}{who}", S.HELD)
    if kind is K.RELEASE:
        if not on_hold:
            return Deed(f"the device is not on hold: nothing was done{who}")
        return Deed(f"taken: the device is released, {jobs}{who}", S.ACCEPTED)
    return Deed(
        f"{kind} names no scan, and this device takes no {kind}: nothing was done{who}",
        advice=NO_EMERGENCY_STOP,
    )
