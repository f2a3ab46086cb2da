"""What all parties saw of a run, read in. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from models import wire
from models.base import canonical
from models.events import ScanState
from models.scan import ScanJob
from sandbox.chaos.facts import (
    Command,
    Event,
    Job,
    Key,
    Line,
    Message,
    Told,
    is_asked,
    partition_of,
)
from sandbox.chaos.flows.facts import Facts, gather
from sandbox.chaos.flows.plan import Flow
from sandbox.chaos.fuzz.outcome import Fuzzed


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
    managed: Sequence[Line] = ()
    """Changes of workflows and tasks at the exam manager, in order."""
    flows: Sequence[Flow] = ()
    """The workflows that were asked for."""
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
    def flow_facts(self) -> dict[str, Facts]:
        """What all parties saw of each workflow, by its id."""
        return gather(self.flows, self.messages)

    @cached_property
    def jobs(self) -> dict[Key, Job]:
        """All jobs that Kafka took and that should come to an end, by (device, request id)."""
        found: dict[Key, Job] = {}
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
                priority=before.priority,
            )
        return found

    @cached_property
    def changes(self) -> dict[Key, list[Event]]:
        """The changes of state of each (device, request id), by time."""
        found: dict[Key, list[Event]] = {}
        for event in self.events:
            if event.kind == "STATE_CHANGED" and "request_id" in event.fields:
                fields = event.fields
                key = (str(fields.get("device_id")), str(fields.get("request_id")))
                found.setdefault(key, []).append(event)
        return found

    @cached_property
    def told(self) -> dict[str, list[Told]]:
        """What the device's aggregate told of each record, by time; it may be announced much later."""
        found: dict[str, list[Told]] = {}
        for message in self.of(wire.RECORD_STEPS):
            step = message.json
            if message.key is not None and step["kind"] == "scan" and step.get("state"):
                attempt = step.get("attempt")
                told = Told(ms=message.ms, state=step["state"], attempt=attempt)
                found.setdefault(message.key.decode(), []).append(told)
        return {record: sorted(one, key=lambda told: told.ms) for record, one in found.items()}

    @cached_property
    def intents(self) -> dict[str, list[int]]:
        """When a START was intended for each record, ms.

        After a crash the next worker tells of the same one again; only the first time counts.
        """
        found: dict[str, list[int]] = {}
        for record, several in self.told.items():
            intended = [told for told in several if told.state == ScanState.STARTING]
            attempts = [told.attempt for told in intended]
            found[record] = [
                told.ms
                for n, told in enumerate(intended)
                if told.attempt is None or told.attempt not in attempts[:n]
            ]
        return found

    @cached_property
    def tasks(self) -> dict[Key, list[int]]:
        """When each DeviceTask of a (device, request id) first went out, ms; a repeat has its id."""
        found: dict[Key, dict[bytes, int]] = {}
        for message in self.of(wire.DEVICE_TASKS):
            request, task = (message.headers.get(n) for n in (wire.REQUEST_ID, wire.MESSAGE_ID))
            if message.key is not None and request is not None and task is not None:
                key = (message.key.decode(), request.decode())
                found.setdefault(key, {}).setdefault(task, message.ms)
        return {key: list(times.values()) for key, times in found.items()}

    @cached_property
    def commands(self) -> dict[str, Command]:
        """The operator's commands, and those of workflows that were cancelled, by id."""
        answers: dict[str, list[Event]] = {}
        for message in self.of(wire.SCAN_EVENTS):
            fields = message.json
            if fields["event"] == "COMMAND_ANSWERED":
                event = Event(
                    ms=message.ms, place=(message.partition, message.offset), fields=fields
                )
                answers.setdefault(str(fields.get("command_id")), []).append(event)
        sent: dict[str, tuple[int, Line]] = {}
        for message in self.of(wire.SCAN_COMMANDS):
            if is_asked(message):
                before, _ = sent.get(message.json["command_id"], (message.ms, {}))
                sent[message.json["command_id"]] = (min(message.ms, before), message.json)
        return {
            one: Command(
                fields=fields, ms=ms, answers=sorted(answers.get(one, ()), key=lambda x: x.ms)
            )
            for one, (ms, fields) in sent.items()
        }

    @cached_property
    def owners(self) -> dict[str, Key]:
        """The job of each record."""
        return {record: key for key, record in self.record_of.items()}

    def job_of(self, command: Command) -> Key | None:
        """Give the job that a command is for, by (device, request id), if there is one."""
        request = command.fields.get("scan_request_id")
        if request is not None:
            return (command.device, str(request))
        record = command.fields.get("record_id")
        return None if record is None else self.owners.get(canonical(record))

    @cached_property
    def commands_of(self) -> dict[Key, list[Command]]:
        """The commands for each job that were carried out, by time."""
        found: dict[Key, list[Command]] = {}
        for command in self.commands.values():
            key = self.job_of(command)
            if key is not None and command.taken:
                found.setdefault(key, []).append(command)
        return {key: sorted(one, key=lambda x: x.taken[0].ms) for key, one in found.items()}

    @cached_property
    def record_of(self) -> dict[Key, str]:
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
            priority=job.priority,
        )
