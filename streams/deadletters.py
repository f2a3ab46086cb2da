"""Dead letters: the message as it came, with its cause in headers; replayable, never lost.

Sent and awaited before the input is acknowledged. One that the broker refuses for its size goes as a
stub: the first 64 KiB, the full size and sha256. Written here, undone in streams/replay.py.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from models import wire
from models.base import rfc3339
from models.errors import PermanentError, PoisonError
from streams.clock import Clock
from streams.flood import Flood
from streams.inbound import Headers, Inbound
from streams.metrics import Metrics
from streams.outbox import Outbox

STUB_BYTES: Final = 65_536
MOST_ATTEMPTS: Final = 999_999
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)

log = logging.getLogger(__name__)


class DeadLetters:
    """Writes dead letters. All are written and counted; of a flood, few are told in the log."""

    def __init__(self, outbox: Outbox, clock: Clock, metrics: Metrics) -> None:
        self._metrics = metrics
        self._outbox = outbox
        self._clock = clock
        self._flood = Flood()
        self._timer: asyncio.TimerHandle | None = None

    async def bury(self, inbound: Inbound, error: PoisonError, *, stage: str) -> None:
        """Send a message to `dead-letters` with its cause, and wait until the broker has it."""
        headers = [*senders_own(inbound.headers), *self._headers(inbound, error, stage)]
        self._metrics.dead_letters.labels(inbound.topic, error.cause).inc()
        self._tell(inbound, error, stage)
        value = inbound.value
        if value is None and inbound.key is None:
            # aiokafka refuses to send a message that has neither: a header says that it had none.
            value = b""
            headers.append((wire.DEAD_NULL_VALUE, b"true"))
        try:
            await self._outbox.deliver(wire.DEAD_LETTERS, inbound.key, value, headers)
        except PermanentError:
            await self._send_stub(inbound, value or b"", self._headers(inbound, error, stage))

    def _tell(self, inbound: Inbound, error: PoisonError, stage: str) -> None:
        self._tell_floods()
        if self._flood.take((inbound.topic, error.cause), self._clock.monotonic()):
            where = inbound.here
            log.warning("dead letter: %s (%s) at %s, stage %s", error, error.cause, where, stage)
        else:
            self._arm()

    def _tell_floods(self) -> None:
        for (topic, cause), count in self._flood.over(self._clock.monotonic()):
            log.warning("dead letters: %d more of %s (%s) within a minute", count, topic, cause)

    def _arm(self) -> None:
        """See that the number is told, also if no other letter comes."""
        wait_s = self._flood.wait_s(self._clock.monotonic())
        if self._timer is None and wait_s is not None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._minute_over)

    def _minute_over(self) -> None:
        self._timer = None
        self._tell_floods()
        self._arm()

    async def _send_stub(
        self, inbound: Inbound, value: bytes, own: list[tuple[str, bytes | None]]
    ) -> None:
        """Send the beginning of all parts: compressed, a small message may hold a huge header or key."""
        kept: list[tuple[str, bytes | None]] = []
        room = STUB_BYTES
        for name, content in senders_own(inbound.headers):
            room -= len(name) + len(content or b"")
            if room < 0:
                break
            kept.append((name, content))
        own += [
            (wire.DEAD_STUB_SIZE, str(len(value)).encode()),
            (wire.DEAD_STUB_SHA256, sha256(value).hexdigest().encode()),
        ]
        key = None if inbound.key is None else inbound.key[:STUB_BYTES]
        await self._outbox.deliver(wire.DEAD_LETTERS, key, value[:STUB_BYTES], [*kept, *own])

    def _headers(
        self, inbound: Inbound, error: PoisonError, stage: str
    ) -> list[tuple[str, bytes | None]]:
        now = rfc3339(self._clock.wall())
        own = {
            wire.DEAD_EXCEPTION: type(error).__name__,
            wire.DEAD_MESSAGE: str(error),
            wire.DEAD_TOPIC: inbound.topic,
            wire.DEAD_PARTITION: str(inbound.partition),
            wire.DEAD_OFFSET: str(inbound.offset),
            wire.DEAD_CAUSE: error.cause,
            wire.DEAD_STAGE: stage,
            wire.DEAD_ATTEMPTS: str(attempts_of(inbound.header)),
            wire.DEAD_FAILED_AT: now,
            wire.DEAD_FIRST_FAILED_AT: min(first_failed_at(inbound.header) or now, now),
        }
        headers: list[tuple[str, bytes | None]] = [(k, v.encode()) for k, v in own.items()]
        if inbound.header.get(wire.REQUEST_ID) != inbound.request_id.encode():
            # The identity goes with the message, so that a replay is the same job. Of a header that
            # comes twice the last counts: one that is no request id stands before it, untouched.
            headers.append((wire.REQUEST_ID, inbound.request_id.encode()))
        return headers


def senders_own(headers: Headers) -> Headers:
    """Leave out what is called as our headers on dead letters: what a replay counts, or a forgery.

    A letter has each of these names once, and a reader need not ask who wrote it.
    """
    return tuple((name, value) for name, value in headers if name not in wire.DEAD_HEADERS)


def attempts_of(header: Mapping[str, bytes]) -> int:
    """Give how often a message was tried, this time included: 1 unless it was replayed."""
    text = header.get(wire.DEAD_ATTEMPTS, b"")
    if not text.isdigit() or len(text) > len(str(MOST_ATTEMPTS)):
        return 1
    return max(int(text), 1)


def first_failed_at(header: Mapping[str, bytes]) -> str | None:
    """Give when a message failed for the first time (RFC 3339); None if nothing says so."""
    for name in (wire.DEAD_FIRST_FAILED_AT, wire.DEAD_FAILED_AT):
        text = header.get(name, b"").decode("utf-8", "replace")
        if _MOMENT.fullmatch(text):
            return text
    return None
