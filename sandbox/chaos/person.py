"""The operator: commands at random, and what a person has to do so that every queue runs empty."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Container, Sequence
from itertools import count
from typing import Any, Final

from models import wire
from models.events import ScanState
from models.scan import ScanCommandKind as K
from sandbox.chaos.acts import REASON, Act, order_of
from sandbox.chaos.client import Client
from sandbox.chaos.seen import Seen, duty
from sandbox.chaos.traffic import Post, Sender
from sandbox.chaos.watch import Watch

_LOOK_S: Final = 1.0
_AFTER_ANSWER_S: Final = 2.0
"""What follows from an answered command is announced by then; else it is looked at again."""
_UNANSWERED_S: Final = 45.0
"""A command that has no answer by then is given up, and another one is sent."""

Started = Callable[[str], Container[str]]
"""Gives the records that a device's own log says it was started for."""


class Person:
    """Sends commands by the client; sees what events tell, and the scanners' own logs."""

    def __init__(self, seed: int, client: Client, watch: Watch, started: Started) -> None:
        self.hurry = False
        """Set when no faults are to come: everything is brought to an end."""
        self._client = client
        self._watch = watch
        self._started = started
        self._dice = random.Random(f"{seed}/person")  # noqa: S311 - no secret
        self._numbers = count()
        self._sent: dict[tuple[str, str], tuple[str, float]] = {}
        self._heard: dict[str, float] = {}

    async def act(self, acts: Sequence[Act]) -> None:
        """Do everything at its time."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for act in acts:
                await asyncio.sleep(max(0.0, began + act.t - time.monotonic()))
                group.create_task(self._do(act))

    async def mind(self) -> None:
        """See to what needs a person, for ever."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for seen in list(self._watch.scans.values()):
                self._see_to(seen)

    def hold(self, device: str) -> None:
        """Put a device on hold."""
        self._order({"command": K.HOLD, "device_id": device, "by": "Ada"})

    def release(self, device: str) -> None:
        """Release a device."""
        self._order({"command": K.RELEASE, "device_id": device, "by": "Ada"})

    async def _do(self, act: Act) -> None:
        command_id = self._new_id()
        body = order_of(act, command_id, list(self._watch.scans.values()))
        self._send(body, act.sender)
        if act.again_s is not None:
            await asyncio.sleep(act.again_s)
            self._send(body, act.sender, "-again")
        if act.lasting:
            await asyncio.sleep(act.lasting)
            self.release(act.device)

    def _see_to(self, seen: Seen) -> None:
        key, now = (seen.device, seen.request), time.monotonic()
        if key in self._sent and not self._settled(key, now):
            return
        asked = seen.state == ScanState.UNKNOWN and seen.record is not None
        taken = asked and str(seen.record) in self._started(seen.device)
        roll = random.Random(f"{seen.request}/{seen.releases}").random()  # noqa: S311
        order = duty(seen, time.time() * 1000, taken=taken, roll=roll, hurry=self.hurry)
        if not order:
            return
        if order.pop("device", False):
            self._sent[key] = (self._order({**order, "device_id": seen.device}), now)
            return
        if order["command"] in (K.RELEASE, K.RESUME):
            seen.releases += 1
        by_record = seen.record is not None and self._dice.random() < 0.5  # noqa: PLR2004
        named = {"record_id": seen.record} if by_record else {"scan_request_id": seen.request}
        body = {**order, **named, "device_id": seen.device, "by": "Ben", "reason": REASON}
        self._sent[key] = (self._order(body), now)

    def _settled(self, key: tuple[str, str], now: float) -> bool:
        """Tell whether the last command for a scan was answered, and had time to work."""
        command_id, at = self._sent[key]
        if command_id in self._watch.answered:
            return now - self._heard.setdefault(command_id, now) >= _AFTER_ANSWER_S
        return now - at >= _UNANSWERED_S

    def _order(self, body: dict[str, Any]) -> str:
        command_id = self._new_id()
        self._send({**body, "command_id": command_id}, Sender.MURMUR2)
        return command_id

    def _new_id(self) -> str:
        return f"cmd-{next(self._numbers):05d}"

    def _send(self, body: dict[str, Any], sender: Sender, again: str = "") -> None:
        device = str(body["device_id"])
        post = Post(
            mark=f"{body['command_id']}{again}", topic=wire.SCAN_COMMANDS, key=device,
            value=json.dumps(body).encode(), sender=sender, device=device,
        )  # fmt: skip
        self._client.send(post)
