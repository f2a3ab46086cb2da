"""Histories made by hand: one scan as all parties see it when all goes well, and what to spoil."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from models import wire
from sandbox.chaos.checker import check
from sandbox.chaos.facts import DEVICE_WORK, Message, partition_of
from sandbox.chaos.history import History
from sandbox.chaos.traffic import MARK, SEQUENCE_ID

T0 = 1_700_000_000.0
PARTITIONS = 4
RAW, IMAGE = "a" * 64, "b" * 64
WAY = (
    "ACCEPTED", "READY", "STARTING", "STARTED", "RUNNING", "ACQUIRED", "RECONSTRUCTING",
    "COMPLETED",
)  # fmt: skip


class Scene:
    """What happened; times are seconds after T0."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.client: list[dict[str, Any]] = []
        self.runner: list[dict[str, Any]] = []
        self.starts: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.records: list[dict[str, Any]] = []
        self.files: dict[str, str] = {}
        self.answers: dict[str, Any] = {}
        self._next: Counter[tuple[str, int]] = Counter()

    def add(
        self,
        topic: str,
        value: Any,
        key: str,
        at: float = 0.0,
        headers: dict[str, str] | None = None,
    ) -> Message:
        partition = partition_of(key.encode(), PARTITIONS)
        message = Message(
            topic=topic,
            partition=partition,
            offset=self._next[topic, partition],
            ms=int((T0 + at) * 1000),
            key=key.encode(),
            value=value if isinstance(value, bytes) else json.dumps(value).encode(),
            headers={name: text.encode() for name, text in (headers or {}).items()},
        )
        self._next[topic, partition] += 1
        self.messages.append(message)
        return message

    def job(
        self, request: str, device: str = "mri-1", at: float = 0.0, n: int = 1, **fields: Any
    ) -> Message:
        """A job that Kafka acknowledged."""
        mark = f"good-{n:05d}-job"
        body = {"id": n, "sequence_id": SEQUENCE_ID, "device_id": device, **fields}
        headers = {wire.REQUEST_ID: request, MARK: mark}
        message = self.add(wire.SCAN_JOBS, body, device, at, headers)
        placed = {"partition": message.partition, "offset": message.offset}
        told = {"mark": mark, "topic": wire.SCAN_JOBS, "device": device, "request_id": request}
        self.client.append({"wall": T0 + at, "what": "acknowledged", **told, **placed})
        return message

    def bad(
        self, mark: str = "bad-00001-not-json", *, buried: bool = True, at: float = 0.0
    ) -> None:
        """A malformed message, and its dead letter."""
        self.add(wire.SCAN_JOBS, b"{", "mri-1", at, {MARK: mark})
        if buried:
            self.add(wire.DEAD_LETTERS, b"{", "mri-1", at, {MARK: mark, wire.DEAD_CAUSE: "invalid"})

    def event(self, request: str, event: str, at: float, **fields: Any) -> None:
        number = self._next["events", 0]
        self._next["events", 0] += 1
        whole = {"event_id": f"e{number}", "event": event, "request_id": request, **fields}
        self.add(wire.SCAN_EVENTS, whole, request, at)

    def moves(
        self,
        request: str,
        way: tuple[str, ...],
        record: int,
        device: str,
        at: float = 0.0,
        **last: Any,
    ) -> None:
        """States one after the other, a tenth of a second apart."""
        before = None
        for number, state in enumerate(way):
            known = {} if state in ("ACCEPTED", "WAITING") else {"record_id": record}
            more = last if number == len(way) - 1 else {}
            self.event(
                request, "STATE_CHANGED", at + number / 10, state=state, previous=before,
                device_id=device, **known, **more,
            )  # fmt: skip
            before = state

    def step(self, record: int, state: str, at: float, **more: Any) -> None:
        """The device's aggregate tells the record's how far a scan is."""
        step = {"kind": "scan", "record_id": record, "state": state, **more}
        self.add(wire.RECORD_STEPS, step, str(record), at)

    def command(
        self,
        command_id: str,
        kind: str,
        at: float,
        answer: str | None = "taken: it is done",
        device: str = "mri-1",
        **fields: Any,
    ) -> None:
        """A command, and its answer a tenth of a second later; with `answer` None there is none."""
        body = {"command_id": command_id, "command": kind, "device_id": device, **fields}
        self.add(wire.SCAN_COMMANDS, body, device, at, {MARK: command_id})
        if answer is not None:
            self.answer(command_id, answer, at + 0.1, device)

    def answer(self, command_id: str, cause: str, at: float, device: str = "mri-1") -> None:
        """An answer to a command; all answers to one command have one id."""
        told = {"event_id": f"answer-{command_id}", "event": "COMMAND_ANSWERED"}
        whole = {**told, "command_id": command_id, "device_id": device, "cause": cause}
        self.add(wire.SCAN_EVENTS, whole, device, at)

    def row(self, name: str, request: str | None, device: str = "mri-1", at: float = 0.0) -> None:
        """A row of the table of jobs that wait; without a request it is deleted."""
        value = b"" if request is None else {"request_id": request}
        self.add(DEVICE_WORK, value, f"{device}\x00{name}", at)

    def rested(self, well: float, rest: float) -> None:
        """All faults were over, and all came to rest."""
        for what, at in (("all-is-well", well), ("at-rest", rest)):
            self.runner.append({"wall": T0 + at, "what": what})

    def made(self, request: str, record: int, device: str, at: float = 0.0) -> None:
        """A record at the exam manager, with the request's mark."""
        mark = f"request {request} [{wire.make_id(request, 'record', device)}]"
        when = datetime.fromtimestamp(T0 + at, UTC).replace(tzinfo=None).isoformat()
        row = {"id": record, "comment": f"Created, {mark}", "datetime_created": when}
        self.records.append(row)

    def start(self, record: int, device: str, at: float) -> None:
        self.starts.append({"wall": T0 + at, "device_id": device, "record_id": str(record)})

    def file(self, request: str, record: int, sha256: str, name: str, at: float) -> None:
        """A file that was registered, and lies where it should."""
        location = f"records/{record}/{sha256[:12]}-{name}"
        self.files[location] = sha256
        told = [{"location": location, "size": 1, "sha256": sha256}]
        self.event(request, "RESULT_REGISTERED", at, record_id=record, files=told)

    def scan(
        self, request: str = "r-1", record: int = 1, device: str = "mri-1", at: float = 0.0
    ) -> None:
        """One scan as it should go, from its job to its image and the question at the end."""
        self.job(request, device, at, record)
        self.made(request, record, device, at)
        self.moves(request, WAY, record, device, at)
        self.step(record, "READY", at + 0.1)
        self.step(record, "STARTING", at + 0.2)
        self.start(record, device, at + 0.25)
        raw, image = f"{record:04d}{RAW[4:]}", f"{record:04d}{IMAGE[4:]}"
        self.add(wire.RESULT_UPLOADS, {"record_id": record, "sha256": raw}, str(record), at + 0.4)
        self.file(request, record, raw, "raw.npy", at + 0.5)
        self.add(
            wire.RECO_JOBS, {"record_id": record, "sha256": raw, "reco_job_id": f"j{record}"},
            str(record), at, {wire.MESSAGE_ID: f"m{record}"},
        )  # fmt: skip
        result = {"record_id": record, "success": True, "files": [{"sha256": image}]}
        result |= {"reco_job_id": f"j{record}"}
        self.add(wire.RECO_RESULTS, result, str(record), at)
        self.file(request, record, image, "image.dcm", at + 0.7)
        files = [{"sha256": raw}, {"sha256": image}]
        self.answers[str(record)] = {"scan": {"state": "COMPLETED", "files": files}}

    def strikes(self, kind: str, target: str, since: float, until: float) -> None:
        for what, at in (("fault-begins", since), ("fault-ends", until)):
            self.runner.append({"wall": T0 + at, "what": what, "kind": kind, "target": target})

    def history(self) -> History:
        return History(
            seed=42,
            partitions=PARTITIONS,
            messages=self.messages,
            client=self.client,
            runner=self.runner,
            starts=self.starts,
            asked=self.asked,
            records=self.records,
            files=self.files,
            answers=self.answers,
            questions=list(self.answers),
        )


def found(scene: Scene) -> list[str]:
    """What the checker says of a scene."""
    return [f"{one.rule}: {one.sentence}" for one in check(scene.history())]


def only(scene: Scene, rule: str, words: str) -> None:
    """All that was found is of one rule, and one sentence has these words."""
    sentences = found(scene)
    assert any(s.startswith(f"{rule}: ") and words in s for s in sentences), sentences
    assert {s.partition(":")[0] for s in sentences} == {rule}, sentences
