"""The book of a fuzz run: what each message must leave behind, and whether it did. No I/O.

Whatever is at fault leaves a dead letter with its mark. What is whole may do that too, or is seen in
another way: a job by its end, a status or command by its event, a request by its answer. A step of the
workers' own topics that says nothing leaves nothing: it counts when it is acknowledged.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from models import wire
from models.base import Message as Model
from models.base import canonical
from models.events import EventKind
from models.results import RecoResult, ResultRequest, ResultUpload
from models.scan import ScanCommand, ScanCommandKind, ScanJob, ScanStatus
from models.steps import DeviceStep, RecordStep
from sandbox.chaos.facts import Message
from sandbox.chaos.fuzz.inputs import Input
from sandbox.chaos.rules.scans import ENDS

_MODELS: Final[Mapping[str, type[Model]]] = {
    wire.SCAN_JOBS: ScanJob,
    wire.SCAN_COMMANDS: ScanCommand,
    wire.SCAN_STATUS: ScanStatus,
    wire.RESULT_UPLOADS: ResultUpload,
    wire.RECO_RESULTS: RecoResult,
    wire.RESULT_REQUESTS: ResultRequest,
    wire.DEVICE_STEPS: DeviceStep,
    wire.RECORD_STEPS: RecordStep,
}
TOPICS: Final = (wire.SCAN_EVENTS, wire.DEAD_LETTERS, wire.RESULT_CHUNKS)
"""Where traces are left."""
_ORIGIN_LONGEST: Final = 400
_TIME_LONGEST: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message that Kafka acknowledged; `ms` is its time at the broker."""

    what: Input
    offset: int
    ms: int

    @property
    def here(self) -> str:
        """topic-partition-offset."""
        return f"{self.what.topic}-{self.what.partition}-{self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a whole message may leave behind in place of a dead letter; any of these will do."""

    events: tuple[str, ...] = ()
    """Ids of events."""
    command: str | None = None
    """Id of a command, which is answered."""
    job: tuple[str, str] | None = None
    """(device, request id) of a job, which comes to an end."""
    answer: str | None = None
    """Request id of an answer."""
    upload: tuple[str, str] | None = None
    """(record, sha256) of a file that another message announced: its dead letter counts for both."""
    task: tuple[str, str] | None = None
    """(device, request id) of a device task: where that is a job's, it is a stale task and left."""
    percent: tuple[str, int] | None = None
    """(record, percent) of a progress: in a crowd of them a later one, no less, may be told instead."""
    nothing: bool = False
    """It may leave nothing."""


@dataclass(kw_only=True)
class Ledger:
    """Takes what is read, and closes what is accounted for."""

    open: dict[str, tuple[Sent, Trace]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    """Devices that commands may have put on hold."""
    ends: Counter[str] = field(default_factory=Counter)
    """How many messages ended how."""
    causes: Counter[str] = field(default_factory=Counter)
    """Causes of dead letters, each message counted once."""
    _letters: set[str] = field(default_factory=set)
    _events: set[str] = field(default_factory=set)
    _commands: set[str] = field(default_factory=set)
    _states: dict[tuple[str, str], str] = field(default_factory=dict)
    _answers: Counter[str] = field(default_factory=Counter)
    _told: dict[str, int] = field(default_factory=dict)
    """The highest percent that was told of a record."""
    _refused: set[tuple[str, str]] = field(default_factory=set)
    internal: list[str] = field(default_factory=list)
    """Dead letters that tell of a bug."""

    def expect(self, sent: Sent) -> None:
        """Open an entry."""
        self.open[sent.what.mark] = (sent, trace(sent))
        found = _read(sent.what.topic, sent.what.value)
        if isinstance(found, ScanCommand) and found.command is ScanCommandKind.HOLD:
            self.held.add(found.device_id)

    def take(self, message: Message) -> None:
        """Take a message of TOPICS."""
        if message.topic == wire.DEAD_LETTERS:
            self._bury(message)
        elif message.topic == wire.RESULT_CHUNKS:
            if message.headers.get(wire.PART) == b"end":
                self._answers[(message.key or b"").decode()] += 1
        else:
            event = message.json
            self._events.add(event["event_id"])
            if event["event"] == EventKind.COMMAND_ANSWERED:
                self._commands.add(str(event.get("command_id")))
            if event["event"] == EventKind.PROGRESS and "record_id" in event and "percent" in event:
                record = canonical(event["record_id"])
                self._told[record] = max(self._told.get(record, 0), event["percent"])
            if event["event"] == EventKind.STATE_CHANGED and "request_id" in event:
                key = (str(event.get("device_id")), str(event.get("request_id")))
                self._states[key] = event["state"]

    def _bury(self, letter: Message) -> None:
        if letter.mark in self._letters or not letter.mark:
            return
        self._letters.add(letter.mark)
        cause = letter.headers.get(wire.DEAD_CAUSE, b"").decode()
        topic = letter.headers.get(wire.DEAD_TOPIC, b"").decode()
        self.causes[cause] += 1
        if cause == wire.Cause.INTERNAL:
            why = letter.headers.get(wire.DEAD_MESSAGE, b"").decode()
            self.internal.append(f"{letter.mark} ({topic}): {why}: {(letter.value or b'')[:300]!r}")
        if topic == wire.RESULT_UPLOADS and (upload := _read(topic, letter.value)) is not None:
            self._refused.add((canonical(upload.record_id), upload.sha256))

    def sweep(self, committed: Mapping[tuple[str, int], int]) -> int:
        """Close what is accounted for; gives how many are open. `committed` by topic and partition."""
        for mark, (sent, expected) in list(self.open.items()):
            end = self._end(mark, expected)
            place = (sent.what.topic, sent.what.partition)
            if not end and committed.get(place, 0) > sent.offset:
                end = self._silent(expected)
            if end:
                self.ends[end] += 1
                del self.open[mark]
        return len(self.open)

    def _silent(self, expected: Trace) -> str:
        """Say how a message ended that was acknowledged and may have left nothing."""
        if expected.nothing:
            return "acknowledged steps"
        if expected.task in self._states:
            return "stale device tasks"
        record, percent = expected.percent or ("", 0)
        return "progress told later" if self._told.get(record, -1) >= percent else ""

    def _end(self, mark: str, expected: Trace) -> str:
        if mark in self._letters:
            return "dead letters"
        if expected.job is not None and self._states.get(expected.job) in ENDS:
            return "jobs at an end"
        if self._events.intersection(expected.events) or expected.command in self._commands:
            return "events"
        if expected.upload in self._refused:
            return "uploads refused as another"
        if expected.answer is not None and self._answers[expected.answer] > 0:
            self._answers[expected.answer] -= 1
            return "answers"
        return ""


def trace(sent: Sent) -> Trace:
    """Give what a message may leave behind beside a dead letter."""
    topic = sent.what.topic
    headers = {name: value for name, value in sent.what.headers if value is not None}
    moved = headers.get(wire.REROUTED_FROM)
    origin = moved.decode("utf-8", "replace")[:_ORIGIN_LONGEST] if moved else sent.here
    request = wire.identity_of(headers, origin, _born(headers, sent.ms))
    if topic == wire.DEVICE_TASKS:
        return Trace(task=((sent.what.key or b"").decode("utf-8", "replace"), request))
    found = _read(topic, sent.what.value)
    if found is None:
        return Trace()
    if topic in (wire.DEVICE_STEPS, wire.RECORD_STEPS):
        return Trace(nothing=True)
    if topic in _ANSWERED:
        return _ANSWERED[topic](found, request)
    upload = None
    if topic == wire.RESULT_UPLOADS:
        upload = (canonical(found.record_id), found.sha256)
    percent = None
    if topic == wire.SCAN_STATUS:
        percent = (canonical(found.record_id), found.status_percent)
    return Trace(events=_events(found, origin), upload=upload, percent=percent)


_ANSWERED: Final[Mapping[str, Callable[[Any, str], Trace]]] = {
    wire.RESULT_REQUESTS: lambda found, _: Trace(answer=found.request_id),
    wire.SCAN_JOBS: lambda found, request: Trace(job=(found.device_id, request)),
    wire.SCAN_COMMANDS: lambda found, _: Trace(command=found.command_id),
}


def _events(found: Any, origin: str) -> tuple[str, ...]:
    """Give the ids of the events that may tell of a record's message."""
    kinds = (EventKind.PROGRESS, EventKind.LATE, EventKind.REPEATED)
    return tuple(wire.make_id(canonical(found.record_id), kind, origin) for kind in kinds)


def _read(topic: str, value: bytes | None) -> Any:
    """Give the message that a value is, as its topic's model; None if it is none."""
    model = _MODELS.get(topic)
    if model is None or value is None:
        return None
    try:
        return model.from_bytes(value)
    except ValidationError:
        return None


def _born(headers: Mapping[str, bytes], ms: int) -> int:
    """Give when a message first arrived: a header can make it older, never younger."""
    told = headers.get(wire.REROUTED_TIME, b"")
    return min(int(told), ms) if told.isdigit() and len(told) <= _TIME_LONGEST else ms
