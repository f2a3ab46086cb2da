"""What all parties saw of a run, read in. No I/O."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from aiokafka.partitioner import murmur2
from pydantic import ValidationError

from models import wire
from models.base import canonical
from models.scan import ScanJob
from sandbox.chaos.fuzz.outcome import Fuzzed
from sandbox.chaos.traffic import MARK

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it stands in a topic (logical name); `ms` is its time at the broker."""

    topic: str
    partition: int
    offset: int
    ms: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The value, which must be JSON."""
        return json.loads(self.value or b"null")

    @property
    def here(self) -> str:
        """topic-partition-offset."""
        return f"{self.topic}-{self.partition}-{self.offset}"

    @property
    def mark(self) -> str:
        """The client's mark, empty for messages of others."""
        return self.headers.get(MARK, b"").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A scan job that Kafka has: its identity, and its place in its device's order."""

    device: str
    request_id: str
    born_ms: int
    order: int | None
    """Offset at the job's own partition; None while it was never moved there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A ScanEvent, the first of its id; `ms` is when the broker's log says that it was sent."""

    ms: int
    place: tuple[int, int]
    fields: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """What happened."""
        return str(self.fields["event"])

    @property
    def state(self) -> str:
        """The state that it tells of."""
        return str(self.fields.get("state", ""))

    @property
    def record(self) -> str | None:
        """The canonical id of its record."""
        found = self.fields.get("record_id")
        return None if found is None else canonical(found)


@dataclass(frozen=True, kw_only=True)
class History:
    """Everything that is known of a run."""

    seed: int
    partitions: int
    messages: Sequence[Message] = ()
    client: Sequence[Line] = ()
    """The client's record: sent, acknowledged, not-acknowledged."""
    runner: Sequence[Line] = ()
    """What the runner did and saw: faults, starts and exits of workers."""
    starts: Sequence[Line] = ()
    """STARTs that devices took."""
    asked: Sequence[Line] = ()
    """Requests that managers and devices met, with what became of each."""
    records: Sequence[Line] = ()
    """Records that the exam manager ever made, with the comment that each was made with."""
    files: Mapping[str, str] = field(default_factory=dict)
    """sha256 of each file below `records/` in the data lake, by location."""
    answers: Mapping[str, Any] = field(default_factory=dict)
    """What workers answered after their last restart when asked for a record's state."""
    questions: Sequence[str] = ()
    """The records that were asked for."""
    fuzzed: Fuzzed | None = None
    """What became of the random messages."""

    def of(self, topic: str) -> list[Message]:
        """Give a topic's messages."""
        return [message for message in self.messages if message.topic == topic]

    @cached_property
    def events(self) -> list[Event]:
        """All events by time, repeats dropped by their id, as every consumer should."""
        unique: dict[str, Event] = {}
        for message in self.of(wire.SCAN_EVENTS):
            fields = message.json
            event = Event(ms=message.ms, place=(message.partition, message.offset), fields=fields)
            unique.setdefault(fields["event_id"], event)
        return sorted(unique.values(), key=lambda event: (event.ms, event.place))

    @cached_property
    def jobs(self) -> dict[tuple[str, str], Job]:
        """All jobs that Kafka took and that should come to an end, by (device, request id)."""
        found: dict[tuple[str, str], Job] = {}
        for message in self.of(wire.SCAN_JOBS):
            job = None if message.mark.startswith("bad-") else self._job(message)
            if job is None:
                continue
            key = (job.device, job.request_id)
            before = found.get(key)
            if before is None:
                found[key] = job
                continue
            orders = [one.order for one in (before, job) if one.order is not None]
            found[key] = Job(
                device=job.device,
                request_id=job.request_id,
                born_ms=min(before.born_ms, job.born_ms),
                order=min(orders, default=None),
            )
        return found

    @cached_property
    def changes(self) -> dict[tuple[str, str], list[Event]]:
        """The changes of state of each (device, request id), by time."""
        found: dict[tuple[str, str], list[Event]] = {}
        for event in self.events:
            if event.kind == "STATE_CHANGED":
                fields = event.fields
                key = (str(fields.get("device_id")), str(fields.get("request_id")))
                found.setdefault(key, []).append(event)
        return found

    @cached_property
    def intents(self) -> dict[str, list[int]]:
        """When a START was intended for each record, ms; it may be announced much later."""
        found: dict[str, list[int]] = {}
        for message in self.of(wire.RECORD_STEPS):
            if message.key is not None and b'"STARTING"' in (message.value or b""):
                found.setdefault(message.key.decode(), []).append(message.ms)
        return found

    @cached_property
    def record_of(self) -> dict[tuple[str, str], str]:
        """The record that counts for each (device, request id): the one that events name."""
        return {
            key: event.record
            for key, changes in self.changes.items()
            for event in changes
            if event.record is not None
        }

    @cached_property
    def starts_of(self) -> dict[str, list[Line]]:
        """STARTs by record."""
        found: dict[str, list[Line]] = {}
        for start in self.starts:
            found.setdefault(str(start["record_id"]), []).append(start)
        return found

    def _job(self, message: Message) -> Job | None:
        try:
            job = ScanJob.from_bytes(message.value or b"")
        except ValidationError:
            return None
        moved = message.headers.get(wire.REROUTED_FROM)
        born = int(message.headers.get(wire.REROUTED_TIME) or message.ms)
        origin = moved.decode() if moved else message.here
        key = job.device_id.encode()
        at_home = message.key == key and message.partition == partition_of(key, self.partitions)
        return Job(
            device=job.device_id,
            request_id=wire.identity_of(dict(message.headers), origin, born),
            born_ms=born,
            order=message.offset if at_home else None,
        )


def partition_of(key: bytes, partitions: int) -> int:
    """Give the partition where a key belongs."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
