"""Follows a run while it goes on: how far each scan is, and which letters and answers there are."""

import asyncio
import time
from contextlib import suppress
from typing import Any, Final

from aiokafka.errors import KafkaError

from models import wire
from models.events import EventKind, ScanState
from sandbox.chaos.facts import Message
from sandbox.chaos.seen import Answer, Seen
from sandbox.chaos.topics import batch, reader
from sandbox.chaos.traffic import MARK

_MOVES: Final = frozenset({
    EventKind.STATE_CHANGED, EventKind.RESULT_REGISTERED, EventKind.LATE, EventKind.ADOPTED,
    EventKind.CONFLICT,
})  # fmt: skip
"""What tells that something moves; who waits in vain is OVERDUE again and again."""

_HELD: Final = "taken: it is held"
"""How the answer to a command begins that holds a job."""


class Watch:
    """Follows events and dead letters, to see what is to be done and when all has come to rest."""

    def __init__(self, bootstrap: str, prefix: str, partitions: int) -> None:
        self._from = (bootstrap, prefix, partitions)
        self.scans: dict[tuple[str, str], Seen] = {}
        """How far each scan is, by (device, request id)."""
        self.answered: set[str] = set()
        """Ids of the commands that were answered."""
        self.flows: dict[str, Answer] = {}
        """The last answer of each workflow."""
        self.dead: set[bytes] = set()
        """Marks of the dead letters seen."""
        self.events = 0
        self.changed_at = time.monotonic()
        self._change = asyncio.Event()
        self._seen: set[str] = set()

    async def run(self) -> None:
        """Follow for ever."""
        bootstrap, prefix, partitions = self._from
        topics = (wire.SCAN_EVENTS, wire.DEAD_LETTERS, wire.WORKFLOW_RESPONSES)
        while True:
            try:
                async with reader(bootstrap, prefix, topics, partitions) as consumer:
                    while True:
                        for message in await batch(consumer, prefix, 0.5):
                            self.take(message)
                            self._change.set()
            except (KafkaError, OSError, TimeoutError):  # the broker is down: again from the start
                await asyncio.sleep(0.5)

    async def change(self, within_s: float) -> None:
        """Wait until something more comes, or so long."""
        self._change.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._change.wait()

    def states(self) -> list[str]:
        """Give the last state announced of each scan."""
        return [seen.state for seen in self.scans.values()]

    def take(self, message: Message) -> None:
        """Take a message. Read from the start, partitions come one after the other: times decide."""
        if message.topic == wire.DEAD_LETTERS:
            self.dead.add(message.headers.get(MARK, b""))
            self.changed_at = time.monotonic()
            return
        if message.topic == wire.WORKFLOW_RESPONSES:
            self._answer(message)
            return
        event = message.json
        if event["event_id"] in self._seen:
            return  # a repeat, or read again from the start
        self._seen.add(event["event_id"])
        self.events += 1
        kind = event["event"]
        if kind in _MOVES:
            self.changed_at = time.monotonic()
        if kind == EventKind.COMMAND_ANSWERED:
            self.answered.add(str(event.get("command_id")))
        device, request = event.get("device_id"), event.get("request_id")
        if device is not None and request is not None:
            self._see((device, request), message.ms, event)

    def _answer(self, message: Message) -> None:
        """Take a workflow's answer. All of one are on one partition, so they come in order."""
        told, flow = message.json, (message.key or b"").decode()
        before, message_id = self.flows.get(flow), message.headers.get(wire.MESSAGE_ID, b"")
        if message_id.decode() in self._seen:
            return  # a repeat, or read again from the start
        self._seen.add(message_id.decode())
        answer = Answer(
            status=told["status"],
            tasks=tuple(task["status"] for task in told["tasks"]),
            offset=message.offset,
        )
        if before is None or (before.status, before.tasks) != (answer.status, answer.tasks):
            self.changed_at = time.monotonic()
        self.flows[flow] = answer

    def _see(self, key: tuple[str, str], ms: int, event: dict[str, Any]) -> None:
        seen = self.scans.get(key)
        if event["event"] == EventKind.OVERDUE and seen is not None:
            seen.overdue_ms = max(seen.overdue_ms, ms)
            if event.get("state") == ScanState.HELD == seen.state and ms >= seen.ms:
                seen.cause = str(event.get("cause") or "")  # HELD still, and now for another reason
        if str(event.get("cause")).startswith(_HELD) and seen is not None and ms >= seen.ms:
            seen.cause = _HELD  # it was HELD with its device, and only the answer tells more
        if event.get("percent") is not None and seen is not None:
            seen.heard_ms = max(seen.heard_ms, ms)
        if event["event"] != EventKind.STATE_CHANGED or (seen is not None and ms < seen.ms):
            return
        if seen is None:
            device, request = key
            seen = self.scans[key] = Seen(device=device, request=request, state="", ms=0)
        seen.state, seen.ms, seen.cause = event["state"], ms, str(event.get("cause") or "")
        seen.record = event.get("record_id", seen.record)
        seen.attempt = event.get("attempt", seen.attempt)
        seen.workflow = event.get("workflow_id", seen.workflow)
