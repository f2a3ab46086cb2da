"""What is known of single messages, jobs, events and commands. No I/O."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka.partitioner import murmur2

from models.base import canonical
from sandbox.chaos.traffic import MARK

Line = Mapping[str, Any]
Key = tuple[str, str]
"""(device, request id): a job's identity."""
DEVICE_WORK: Final = "app-device-work-changelog"
"""The changelog of the table of jobs that wait or hold a device, without the prefix."""
COMMAND_MARK: Final = "cmd-"


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
    priority: int = 0

    @property
    def rank(self) -> tuple[int, int] | None:
        """Its place among its device's jobs: the urgent first, then as they came."""
        return None if self.order is None else (-self.priority, self.order)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a device's aggregate told a record's of its scan; `attempt` counts its STARTs."""

    ms: int
    state: str
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that Kafka has, and all copies of its answer by time; of a repeat, repeats too."""

    fields: Mapping[str, Any]
    ms: int
    answers: Sequence[Event]

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.fields["command_id"])

    @property
    def kind(self) -> str:
        """What is asked."""
        return str(self.fields["command"])

    @property
    def device(self) -> str:
        """The device that it names."""
        return str(self.fields["device_id"])

    @property
    def to_device(self) -> bool:
        """Whether it names no scan."""
        return "record_id" not in self.fields and "scan_request_id" not in self.fields

    @property
    def taken(self) -> list[Event]:
        """The answers that say that it was carried out."""
        return [one for one in self.answers if str(one.fields.get("cause")).startswith("taken")]


def is_asked(message: Message) -> bool:
    """Tell whether a command is the operator's, or a workflow's that was cancelled."""
    by_workflow = not message.mark and str(message.json.get("by")).startswith("workflow ")
    return by_workflow or message.mark.startswith(COMMAND_MARK)


def partition_of(key: bytes, partitions: int) -> int:
    """Give the partition where a key belongs."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
