"""The intake: every message stands on its key's partition, or is moved there once."""

import asyncio

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from hypothesis import given
from hypothesis import strategies as st

from models import wire
from models.errors import PoisonError
from models.wire import Cause
from streams.inbound import Inbound
from streams.intake import is_in_place, reroute
from streams.topics import partition_of
from tests.unit.test_streams_fakes import (
    NOON_MS,
    FakeProducer,
    Sent,
    make_inbound,
    make_outbox,
    settle_loop,
)

RIGHT = partition_of(b"d", 8)
WRONG = (RIGHT + 1) % 8


def arrived(sent: Sent, offset: int = 900, timestamp_ms: int = NOON_MS + 60_000) -> Inbound:
    """Give a message that was sent as whoever reads it gets it."""
    return make_inbound(
        sent.value,
        topic=sent.topic,
        partition=sent.partition or 0,
        offset=offset,
        key=sent.key,
        timestamp_ms=timestamp_ms,
        headers=tuple(sent.headers),
    )


@given(st.text(min_size=1, max_size=30), st.integers(1, 50))
def test_only_the_right_key_on_the_right_partition_is_in_place(owner: str, partitions: int) -> None:
    key, right = owner.encode(), partition_of(owner.encode(), partitions)
    assert is_in_place(make_inbound(key=key, partition=right), owner, partitions)
    for wrong in (
        make_inbound(key=None, partition=right),
        make_inbound(key=key + b"x", partition=right),
        make_inbound(key=key, partition=right + 1),
    ):
        assert not is_in_place(wrong, owner, partitions)


async def test_a_moved_message_is_the_same_message() -> None:
    producer = FakeProducer()
    headers = (("traceparent", b"t"), ("other", None), ("other", b"2"))
    came = make_inbound(b" {raw} \xff", partition=WRONG, key=b"crc", headers=headers)
    await reroute(came, "d", 8, make_outbox(producer))
    (sent,) = producer.sent
    assert (sent.topic, sent.key, sent.value, sent.partition) == (
        came.topic,
        b"d",
        came.value,
        RIGHT,
    )
    assert sent.headers[:3] == list(headers)
    moved = arrived(sent)
    assert is_in_place(moved, "d", 8)
    assert moved.request_id == came.request_id
    assert moved.origin == came.here
    assert moved.born_ms == came.born_ms == NOON_MS


async def test_a_redelivered_message_is_moved_with_the_same_identity() -> None:
    producer = FakeProducer()
    outbox = make_outbox(producer)
    for _ in range(2):
        await reroute(make_inbound(partition=WRONG), "d", 8, outbox)
    one, two = (arrived(sent, offset) for offset, sent in enumerate(producer.sent))
    assert (one.request_id, one.origin) == (two.request_id, two.origin)


async def test_a_request_id_that_is_none_is_replaced_not_repeated() -> None:
    producer = FakeProducer()
    came = make_inbound(partition=WRONG, headers=((wire.REQUEST_ID, b"not one"),))
    await reroute(came, "d", 8, make_outbox(producer))
    names = [name for name, _ in producer.sent[0].headers]
    assert names.count(wire.REQUEST_ID) == 1
    assert arrived(producer.sent[0]).request_id == came.request_id


async def test_the_message_is_at_the_broker_when_it_counts_as_moved() -> None:
    producer = FakeProducer(silent=True)
    moving = asyncio.ensure_future(
        reroute(make_inbound(partition=WRONG), "d", 8, make_outbox(producer))
    )
    await settle_loop()
    assert producer.sent
    assert not moving.done()
    moving.cancel()


def test_a_moved_message_in_the_wrong_place_is_poison_not_a_loop() -> None:
    came = make_inbound(partition=WRONG, key=b"d", headers=((wire.REROUTED_FROM, b"x-0-0"),))
    with pytest.raises(PoisonError) as caught:
        is_in_place(came, "d", 8)
    assert caught.value.cause is Cause.INVALID


async def test_what_is_too_large_to_be_moved_is_poison_with_that_cause() -> None:
    producer = FakeProducer(error=MessageSizeTooLargeError())
    with pytest.raises(PoisonError) as caught:
        await reroute(make_inbound(partition=WRONG), "d", 8, make_outbox(producer))
    assert caught.value.cause is Cause.TOO_LARGE
