"""A processing service: takes TaskEvents once each, and reports in both forms that there are.

It may be asked to fail for a task the first time, so that its workflow has to be resumed.
"""

import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from aiokafka.errors import KafkaError

from models import wire
from sandbox.chaos.client import Client
from sandbox.chaos.facts import Message
from sandbox.chaos.flows.plan import Flow
from sandbox.chaos.topics import batch, reader
from sandbox.chaos.traffic import Post, Sender

_MOST_S: Final = 0.3
"""The longest that its work takes."""
_REPEATED: Final = 0.1
"""Share of its reports of success that come twice."""


class Service:
    """Reads `task-events`; answers by the client until Kafka has taken it."""

    def __init__(
        self, place: tuple[str, str, int], seed: int, flows: Sequence[Flow], client: Client
    ) -> None:
        self._place = place
        self._seed = seed
        self._client = client
        self._flows = {flow.tasks[2]: flow for flow in flows}
        self._tried: set[str] = set()
        self._seen: set[str] = set()
        self._working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve for ever; what it began is dropped when it is cancelled."""
        bootstrap, prefix, partitions = self._place
        try:
            while True:
                with suppress(KafkaError, OSError, TimeoutError):  # the broker is down
                    async with reader(
                        bootstrap, prefix, (wire.TASK_EVENTS,), partitions
                    ) as consumer:
                        while True:
                            for message in await batch(consumer, prefix):
                                self._take(message)
                await asyncio.sleep(0.5)
        finally:
            for task in self._working:
                task.cancel()

    def _take(self, message: Message) -> None:
        message_id = message.headers.get(wire.MESSAGE_ID, b"").decode()
        flow = self._flows.get(str(message.json.get("task_id")))
        if flow is None or message_id in self._seen:
            return  # a repeat, or read again from the start
        self._seen.add(message_id)
        failed = flow.fails and flow.id not in self._tried
        self._tried.add(flow.id)
        task = asyncio.create_task(self._serve(flow, message_id, failed=failed))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _serve(self, flow: Flow, message_id: str, *, failed: bool) -> None:
        dice = random.Random(f"{self._seed}/{message_id}")  # noqa: S311 - no secret
        await asyncio.sleep(dice.uniform(0, _MOST_S))
        post = report(flow, message_id, dice, failed=failed)
        while not await self._client.send(post):
            pass
        if not failed and dice.random() < _REPEATED:
            self._client.send(post)


def report(flow: Flow, message_id: str, dice: random.Random, *, failed: bool) -> Post:
    """Give a report of the service: of 2024-08, which names no workflow, or of 2024-12."""
    task = flow.tasks[2]
    old = dice.random() < 0.5  # noqa: PLR2004
    body: dict[str, Any] = {"task_id": task}
    if old:
        body["status"] = "FAILED" if failed else "COMPLETED"
    else:
        body |= {"workflow_id": flow.id, "success": not failed}
    if not failed:
        body["artifacts"] = {"input": f"made/{flow.number}.dcm"}
    return Post(
        mark=f"{flow.mark}-report-{message_id}",
        topic=wire.TASK_COMPLETIONS,
        key=task if old else flow.id,
        value=json.dumps(body).encode(),
        sender=Sender.NO_KEY if old else dice.choice(tuple(Sender)),
        device=flow.device,
    )
