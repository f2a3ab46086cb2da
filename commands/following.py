"""What a followed scan job's events mean: plain functions and one small state, no I/O."""

from dataclasses import dataclass, field
from typing import Final

from commands.base import Exit
from commands.show import printable
from models import wire
from models.base import canonical
from models.events import EventKind, ScanEvent, ScanState
from models.results import AnswerMetadata
from models.scan import ScanJob

S = ScanState

CODES: Final = {
    S.COMPLETED: Exit.GOOD,
    S.FAILED: Exit.ENDED,
    S.CANCELLED: Exit.ENDED,
    S.UNKNOWN: Exit.UNDECIDED,
    S.HELD: Exit.UNDECIDED,
}
"""States at which nobody waits any longer: final ones, and those that a person settles."""

_BEGUN: Final = (S.STARTED, S.RUNNING, S.ACQUIRED, S.RECONSTRUCTING)
"""Evidence that the device has started: no news of a state before these takes it back."""
_TELL_STATE: Final = (EventKind.STATE_CHANGED, EventKind.PROGRESS, EventKind.REPEATED)
_SENTENCES: Final = {
    EventKind.REPEATED: "this request was sent before: nothing is started twice",
    EventKind.ADOPTED: "goes on with the record that was made before",
    EventKind.RETRYING: "waits and tries again",
    EventKind.RESULT_REGISTERED: "result registered",
    EventKind.RESULT_REFUSED: "a result was refused",
    EventKind.LATE: "something came late",
    EventKind.OVERDUE: "overdue",
    EventKind.CONFLICT: "conflict",
    EventKind.COMMAND_ANSWERED: "command answered",
}


@dataclass(slots=True, kw_only=True)
class Followed:
    """One submitted job, as far as its events told; `code` is set once nobody waits any longer."""

    request_id: str
    job: ScanJob
    record: str | None = None
    state: ScanState | None = None
    percent: int = 0
    code: Exit | None = None
    ask_state: bool = False
    """The request was sent before: its record's state has to be asked for, no event may come."""
    _seen: set[str] = field(default_factory=set)

    def take(self, event: ScanEvent, key: str) -> str | None:
        """Take an event and give the line that tells it; None if it is not ours or a repeat.

        By the request id first (and the device: both together are a job's identity); by the record
        once that is known.
        """
        if not self._concerns(event) or event.event_id in self._seen:
            return None
        self._seen.add(event.event_id)
        late = self.record is not None and event.record_id is None
        if event.record_id is not None:
            self.record = canonical(event.record_id)
        elif self.record is None and key != self.request_id and event.event is EventKind.REPEATED:
            self.record = _record_of(key)
        if event.event is EventKind.REPEATED and event.state is None:
            self.ask_state = self.record is not None
        if event.state is not None and event.event in _TELL_STATE:
            self._move(event.state, late=late)
        if event.percent is not None:
            self.percent = max(self.percent, event.percent)
        return tell(event)

    def take_dead_letter(self, key: str, headers: dict[str, str]) -> str | None:
        """Take a dead letter; give the line that tells it if it is this job's."""
        ours = (
            headers.get(wire.REQUEST_ID) == self.request_id
            and headers.get(wire.DEAD_TOPIC) == wire.SCAN_JOBS
            and key == self.job.device_id
        )
        if not ours:
            return None
        self.code = Exit.ERROR
        cause, sentence = (headers.get(name, "") for name in (wire.DEAD_CAUSE, wire.DEAD_MESSAGE))
        return printable(f"not taken, it is a dead letter now ({cause}): {sentence}")

    def take_answer(self, answer: AnswerMetadata) -> str | None:
        """Take the answer to a question for the record's state."""
        if answer.scan is None:
            return None
        self._move(answer.scan.state, late=False)
        return _with_cause(str(answer.scan.state), answer.scan.cause, answer.scan.advice)

    def _concerns(self, event: ScanEvent) -> bool:
        if event.request_id == self.request_id:
            return event.device_id in (None, self.job.device_id)
        known = self.record is not None and event.record_id is not None
        return known and canonical(event.record_id or 0) == self.record

    def _move(self, state: ScanState, *, late: bool) -> None:
        """Take a state over, unless it is older news.

        Events before and after a record have different keys, so they have no common order.
        """
        if self.state is not None and self.state.final:
            return
        if not state.final and (late or (self.state in _BEGUN and state not in _BEGUN)):
            return
        self.state = state
        self.code = CODES.get(state)


def _record_of(key: str) -> str | None:
    try:
        return canonical(key)
    except ValueError:
        return None


def tell(event: ScanEvent) -> str:
    """Write an event as a line."""
    if event.event in (EventKind.STATE_CHANGED, EventKind.PROGRESS):
        text = str(event.state or "progress")
        if event.percent is not None:
            text += f" {event.percent} %"
        if event.state is S.QUEUED and event.count is not None:
            text += f", place {event.count}"
        if event.event is EventKind.STATE_CHANGED and event.record_id is not None:
            text += f" (record {canonical(event.record_id)})"
    else:
        text = _SENTENCES[event.event]
        if event.files:
            text += f" ({len(event.files)} {'file' if len(event.files) == 1 else 'files'})"
    return _with_cause(text, event.cause, event.advice)


def _with_cause(text: str, cause: str | None, advice: str | None) -> str:
    if cause:
        text += f": {cause}"
    if advice:
        text += f". {advice}"
    return printable(text)


def worst(jobs: list[Followed]) -> Exit:
    """Give the exit code of all: a time-out counts most, then what a person has to settle."""
    return max(Exit.TIMEOUT if job.code is None else job.code for job in jobs)
