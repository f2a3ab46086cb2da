"""Dead letters: the message as it came, with its cause in headers; replayable, never lost.

Sent and awaited before the input is acknowledged. One that the broker refuses for its size goes as a
stub: the first 64 KiB, the full size and sha256.
"""

import logging
from hashlib import sha256
from typing import Final

from models import wire
from models.base import rfc3339
from models.errors import PermanentError, PoisonError
from streams.clock import Clock
from streams.inbound import Inbound
from streams.metrics import Metrics
from streams.outbox import Outbox

STUB_BYTES: Final = 65_536

log = logging.getLogger(__name__)


class DeadLetters:
    """Writes dead letters."""

    def __init__(self, outbox: Outbox, clock: Clock, metrics: Metrics) -> None:
        self._metrics = metrics
        self._outbox = outbox
        self._clock = clock

    async def bury(self, inbound: Inbound, error: PoisonError, *, stage: str) -> None:
        """Send a message to `dead-letters` with its cause, and wait until the broker has it."""
        headers = [*inbound.headers, *self._headers(inbound, error, stage)]
        log.warning("dead letter: %s (%s) at %s, stage %s", error, error.cause, inbound.here, stage)
        self._metrics.dead_letters.labels(error.cause).inc()
        value = inbound.value
        if value is None and inbound.key is None:
            # aiokafka refuses to send a message that has neither: a header says that it had none.
            value = b""
            headers.append((wire.DEAD_NULL_VALUE, b"true"))
        try:
            await self._outbox.deliver(wire.DEAD_LETTERS, inbound.key, value, headers)
        except PermanentError:
            await self._send_stub(inbound, value or b"", self._headers(inbound, error, stage))

    async def _send_stub(
        self, inbound: Inbound, value: bytes, own: list[tuple[str, bytes | None]]
    ) -> None:
        """Send the beginning of all parts: compressed, a small message may hold a huge header or key."""
        kept: list[tuple[str, bytes | None]] = []
        room = STUB_BYTES
        for name, content in inbound.headers:
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
        own = {
            wire.DEAD_EXCEPTION: type(error).__name__,
            wire.DEAD_MESSAGE: str(error),
            wire.DEAD_TOPIC: inbound.topic,
            wire.DEAD_PARTITION: str(inbound.partition),
            wire.DEAD_OFFSET: str(inbound.offset),
            wire.DEAD_CAUSE: error.cause,
            wire.DEAD_STAGE: stage,
            wire.DEAD_ATTEMPTS: "1",
            wire.DEAD_FAILED_AT: rfc3339(self._clock.wall()),
        }
        headers: list[tuple[str, bytes | None]] = [(k, v.encode()) for k, v in own.items()]
        if inbound.header.get(wire.REQUEST_ID) != inbound.request_id.encode():
            # The identity goes with the message, so that a replay is the same job. Of a header that
            # comes twice the last counts: one that is no request id stands before it, untouched.
            headers.append((wire.REQUEST_ID, inbound.request_id.encode()))
        return headers
