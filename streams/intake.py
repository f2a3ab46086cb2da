"""The intake: every message is on its key's partition, or is moved there once.

Senders hash keys differently (librdkafka CRC32, Java and Faust murmur2) or send none. State and order
hang on the partition, so the sender's choice is never trusted: key ≠ id in the body, or partition ≠
murmur2(id) mod n → the same bytes go to the right place, awaited, with the identity and the broker
time of the first arrival, and only then is the message acknowledged.
"""

from models import wire
from models.errors import PermanentError, PoisonError
from models.wire import Cause
from streams.inbound import Inbound
from streams.outbox import Outbox
from streams.topics import partition_of

_OURS = frozenset({wire.REROUTED_FROM, wire.REROUTED_TIME, wire.REQUEST_ID})


def is_in_place(inbound: Inbound, owner: str, partitions: int) -> bool:
    """Tell whether a message stands where the owner of its id reads it.

    Raises PoisonError for one that was moved already and is in the wrong place all the same: a
    header that somebody else wrote; moving it again and again would be a loop.
    """
    key = owner.encode()
    if inbound.key == key and inbound.partition == partition_of(key, partitions):
        return True
    if inbound.rerouted:
        raise PoisonError("a rerouted message stands on the wrong partition", Cause.INVALID)
    return False


async def reroute(inbound: Inbound, owner: str, partitions: int, outbox: Outbox) -> None:
    """Move a message to its key's partition; returns when the broker has it.

    Raises PoisonError if it is too large with the headers that are added.
    """
    key = owner.encode()
    kept = [(name, value) for name, value in inbound.headers if name not in _OURS]
    added = [
        (wire.REQUEST_ID, inbound.request_id.encode()),
        (wire.REROUTED_FROM, inbound.here.encode()),
        (wire.REROUTED_TIME, str(inbound.timestamp_ms).encode()),
    ]
    place = partition_of(key, partitions)
    try:
        await outbox.deliver(inbound.topic, key, inbound.value, [*kept, *added], partition=place)
    except PermanentError:
        raise PoisonError("too large to be moved to its partition", Cause.TOO_LARGE) from None
