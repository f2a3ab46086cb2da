"""Asks a ResultRequest and hears its answer on `result-chunks`."""

import time
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from pydantic import ValidationError

from commands.base import CommandError, Context
from commands.kafka import Kafka, Message, connect
from models import wire
from models.base import canonical, explain
from models.results import AnswerMetadata, ResultRequest, What
from streams.topics import partition_of

AGAIN_AFTER: Final = 1 / 3
"""Of the time-out: after so much silence it is asked again, once. A worker that died in the middle of
an answer does not go on with it (a request is acknowledged at once)."""


async def ask(
    kafka: Kafka, request: ResultRequest, limit_s: float, hear: Callable[[Message], bool]
) -> bool:
    """Ask, and give each part of the answer to `hear` until that says that it is complete.

    False if nothing of it came for `limit_s` seconds.
    """
    count = await kafka.partitions(wire.RESULT_CHUNKS)
    # Answers are keyed by the request: other requesters' files need not be read on all partitions.
    await kafka.follow({wire.RESULT_CHUNKS: partition_of(request.request_id.encode(), count)})
    await send_request(kafka, request)
    heard, again = time.monotonic(), False
    while True:
        silence = time.monotonic() - heard
        if silence >= limit_s:
            return False
        if silence >= limit_s * AGAIN_AFTER and not again:
            await send_request(kafka, request)
            again = True
        bound = limit_s if again else limit_s * AGAIN_AFTER
        for message in await kafka.take(max(bound - silence, 0)):
            if message.key == request.request_id:
                if hear(message):
                    return True
                heard = time.monotonic()


async def send_request(kafka: Kafka, request: ResultRequest) -> None:
    """Send a ResultRequest."""
    key = canonical(request.record_id)
    await kafka.send(wire.RESULT_REQUESTS, key, request.to_bytes(), request.request_id)


async def ask_state(context: Context, record_id: str, limit_s: float) -> AnswerMetadata | None:
    """Ask for a record's state; None if no answer came in time."""
    request = ResultRequest(request_id=str(uuid4()), record_id=record_id, what=What.STATE)
    answers: list[AnswerMetadata] = []

    def hear(message: Message) -> bool:
        if message.headers.get(wire.PART) == "metadata":
            answers.append(read_metadata(message.value))
        return bool(answers)

    async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
        await ask(kafka, request, limit_s, hear)
    return answers[0] if answers else None


def read_metadata(value: bytes) -> AnswerMetadata:
    """Read an answer's first part. Raises CommandError."""
    try:
        return AnswerMetadata.from_bytes(value)
    except ValidationError as error:
        raise CommandError(f"the answer can't be read: {explain(error)}") from None
