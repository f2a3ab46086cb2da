"""Whoever asks for workflows: starts them, some twice, asks how they are, cancels, and resumes."""

import asyncio
import json
import time
from collections.abc import Sequence
from itertools import count
from typing import Final, NamedTuple

from models import wire
from models.workflow import WorkflowRequestKind as K
from models.workflow import WorkflowStatus as W
from sandbox.chaos.client import Client
from sandbox.chaos.flows.plan import Flow
from sandbox.chaos.traffic import Post, Sender
from sandbox.chaos.watch import Watch

_LOOK_S: Final = 0.5
_WAIT_S: Final = 1.0
"""A person resumes so long after a workflow ended, as soon as that is seen to last."""
_AGAIN_S: Final = 20.0
"""What had no effect by then is asked once more."""


class _Ask(NamedTuple):
    t: float
    flow: Flow
    kind: K
    sender: Sender
    mark: str


class Asker:
    """Asks by the client, and sees what was answered."""

    def __init__(self, flows: Sequence[Flow], client: Client, watch: Watch) -> None:
        self._flows = flows
        self._client = client
        self._watch = watch
        self._numbers = count()
        self._began: dict[str, float] = {}
        """When each was last started; monotonic."""
        self._resumed: dict[str, tuple[int, float]] = {}
        self._ended: dict[str, tuple[int, float]] = {}

    async def run(self) -> None:
        """Ask for everything at its time."""
        began = time.monotonic()
        for ask in asks(self._flows):
            await asyncio.sleep(max(0.0, began + ask.t - time.monotonic()))
            if ask.kind is K.START:
                self._began[ask.flow.id] = time.monotonic()
            self._send(ask.flow, ask.kind, ask.sender, ask.mark)

    async def mind(self) -> None:
        """Resume what is not to stay as it ended, for ever."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for flow in self.open():
                if flow.id in self._began:
                    self._see_to(flow, time.monotonic())

    def open(self) -> list[Flow]:
        """Give the workflows that are not yet as they are to stay."""
        return [flow for flow in self._flows if not self._done(flow)]

    def _done(self, flow: Flow) -> bool:
        last = self._watch.flows.get(flow.id)
        if last is None:
            return False
        return last.status == W.COMPLETED or (flow.left and last.status == W.CANCELLED)

    def _see_to(self, flow: Flow, now: float) -> None:
        last = self._watch.flows.get(flow.id)
        if last is None or last.status == W.UNKNOWN:
            if now - self._began[flow.id] >= _AGAIN_S:
                self._began[flow.id] = now
                self._send(flow, K.START, Sender.MURMUR2, f"start-{next(self._numbers)}")
            return
        if last.status == W.RUNNING:
            return
        if self._ended.get(flow.id, (-1, now))[0] != last.offset:
            self._ended[flow.id] = (last.offset, now)
        place, at = self._resumed.get(flow.id, (-1, now))
        asked = place == last.offset and now - at < _AGAIN_S
        if now - self._ended[flow.id][1] >= _WAIT_S and not asked:
            self._resumed[flow.id] = (last.offset, now)
            self._send(flow, K.RESUME, Sender.MURMUR2, f"resume-{next(self._numbers)}")

    def _send(self, flow: Flow, kind: K, sender: Sender, mark: str) -> None:
        body = {"workflow_id": flow.id, "type": kind.value}
        post = Post(
            mark=f"{flow.mark}-{mark}", topic=wire.WORKFLOW_REQUESTS, key=flow.id,
            value=json.dumps(body).encode(), sender=sender, device=flow.device,
        )  # fmt: skip
        self._client.send(post)


def asks(flows: Sequence[Flow]) -> list[_Ask]:
    """Give what is asked by plan, by time."""
    found = []
    for flow in flows:
        found.append(_Ask(flow.t, flow, K.START, flow.sender, "start"))
        if flow.again_s is not None:
            found.append(_Ask(flow.t + flow.again_s, flow, K.START, Sender.CRC32, "again"))
        if flow.status_s is not None:
            found.append(_Ask(flow.t + flow.status_s, flow, K.STATUS, flow.sender, "status"))
        if flow.cancel_s is not None:
            found.append(_Ask(flow.t + flow.cancel_s, flow, K.CANCEL, Sender.MURMUR2, "cancel"))
    return sorted(found, key=lambda ask: (ask.t, ask.flow.number))
