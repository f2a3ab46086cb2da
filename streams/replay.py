"""A dead letter made the message again that it was, to be sent once more to where it came from."""

from dataclasses import dataclass

from pydantic import ValidationError

from models import wire
from models.scan import ScanJob
from streams.deadletters import MOST_ATTEMPTS, attempts_of, first_failed_at, senders_own
from streams.inbound import Headers, Inbound
from streams.topics import partition_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A message as a replay sends it; `topic` is its logical name."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    attempts: int


def replay_of(letter: Inbound, partitions: int) -> Replay:
    """Undo what `DeadLetters.bury` did; `partitions` is the count of the original topic.

    Our headers are taken off, but the `request-id` stays, also one that we wrote: the replay is the
    same job. Two are put on, which the next dead letter takes over: they never pile up.
    """
    header = letter.header
    topic = header.get(wire.DEAD_TOPIC, b"").decode("utf-8", "replace")
    attempts = min(attempts_of(header) + 1, MOST_ATTEMPTS)
    headers = [*senders_own(letter.headers), (wire.DEAD_ATTEMPTS, str(attempts).encode())]
    if (first := first_failed_at(header)) is not None:
        headers.append((wire.DEAD_FIRST_FAILED_AT, first.encode()))
    value = letter.value
    if letter.key is None and not value and wire.DEAD_NULL_VALUE in header:
        value = None
    if topic == wire.SCAN_JOBS:
        headers = _started_anew(letter, headers, partitions)
    return Replay(
        topic=topic, key=letter.key, value=value, headers=tuple(headers), attempts=attempts
    )


def _started_anew(
    letter: Inbound, headers: list[tuple[str, bytes | None]], partitions: int
) -> list[tuple[str, bytes | None]]:
    """Let a scan job be as old as its replay, and come from where it came first.

    Its age: a person has just said that it may start (promise 9), whether it had been moved to its
    partition or not. Its origin: a job that was accepted before it met a bug of ours is resumed only
    as the same message; as another one it would count as a repeat, and stand still. Such a job stood
    in its place; of others nothing was accepted, and the intake may still have to move them.
    """
    headers = [(name, value) for name, value in headers if name != wire.REROUTED_TIME]
    if wire.REROUTED_FROM not in letter.header and _stood_in_place(letter, partitions):
        names = (wire.DEAD_TOPIC, wire.DEAD_PARTITION, wire.DEAD_OFFSET)
        headers.append((wire.REROUTED_FROM, b"-".join(letter.header[name] for name in names)))
    return headers


def _stood_in_place(letter: Inbound, partitions: int) -> bool:
    stood = letter.header.get(wire.DEAD_PARTITION)
    if letter.key is None or wire.DEAD_OFFSET not in letter.header:
        return False
    if stood != str(partition_of(letter.key, partitions)).encode():
        return False
    try:
        return ScanJob.from_bytes(letter.value or b"").device_id.encode() == letter.key
    except ValidationError:
        return False
