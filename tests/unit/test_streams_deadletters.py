"""Dead letters: the message as it came, its cause beside it, nothing lost for its size."""

from hashlib import sha256

import pytest

from models import wire
from models.errors import PoisonError
from models.wire import Cause
from streams.deadletters import STUB_BYTES, DeadLetters
from streams.inbound import Headers, Inbound
from streams.metrics import Metrics
from tests.unit.test_streams_fakes import FakeProducer, HandClock, Sent, make_inbound, make_outbox

ERROR = PoisonError("not a ScanJob: id: value_error", Cause.INVALID)


async def bury(inbound: Inbound, producer: FakeProducer | None = None) -> Sent:
    producer = producer or FakeProducer()
    letters = DeadLetters(make_outbox(producer), HandClock(), Metrics())
    await letters.bury(inbound, ERROR, stage="start_scan")
    (sent,) = producer.sent
    assert sent.topic == wire.DEAD_LETTERS
    return sent


def again(sent: Sent) -> Inbound:
    """Give the dead letter as a replay brings it back."""
    return make_inbound(sent.value, offset=4_711, key=sent.key, headers=tuple(sent.headers))


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"k\xff", b"\x00\xff no json"), (b"k", b""), (b"k", None), (None, b"{}"), (None, b"")],
)
async def test_key_value_and_headers_are_as_they_came_and_first(
    key: bytes | None, value: bytes | None
) -> None:
    headers: Headers = (("a", b"1"), ("a", b"2"), ("b", None), ("c", b"\xff"))
    sent = await bury(make_inbound(value, key=key, headers=headers))
    assert (sent.key, sent.value) == (key, value)
    assert tuple(sent.headers[:4]) == headers


async def test_a_message_without_key_and_value_is_buried_too_and_says_so() -> None:
    # aiokafka does not send a message that has neither; it would stop the partition (promise 4).
    sent = await bury(make_inbound(None))
    assert (sent.key, sent.value) == (None, b"")
    assert sent.header[wire.DEAD_NULL_VALUE] == b"true"
    assert wire.DEAD_NULL_VALUE not in (await bury(make_inbound(b""))).header
    assert wire.DEAD_NULL_VALUE not in (await bury(make_inbound(None, key=b"k"))).header


async def test_the_cause_and_the_place_are_in_headers() -> None:
    sent = await bury(make_inbound(topic=wire.SCAN_STATUS, partition=3, offset=12))
    header = sent.header
    assert header["__streams.errors.exception"] == b"PoisonError"
    assert header["__streams.errors.message"] == str(ERROR).encode()
    assert header["__streams.errors.topic"] == b"scan-status"
    assert header["__streams.errors.partition"] == b"3"
    assert header["__streams.errors.offset"] == b"12"
    assert header["scanhub.cause"] == b"invalid"
    assert header["scanhub.stage"] == b"start_scan"
    assert header["scanhub.attempts"] == b"1"
    assert header["scanhub.failed-at"] == b"2023-11-14T22:13:20.000Z"
    assert "scanhub.stub-size" not in header


async def test_the_identity_goes_with_it_where_it_had_none() -> None:
    came = make_inbound()
    sent = await bury(came)
    assert [name for name, _ in sent.headers].count(wire.REQUEST_ID) == 1
    assert again(sent).request_id == came.request_id


async def test_a_request_id_that_it_had_is_not_written_again() -> None:
    sent = await bury(make_inbound(headers=((wire.REQUEST_ID, b"mine"),)))
    assert [value for name, value in sent.headers if name == wire.REQUEST_ID] == [b"mine"]


@pytest.mark.parametrize("header", [b"no id", b"\xff", b"x" * 200, b"", None])
async def test_a_replay_has_the_same_identity_also_after_a_header_that_is_none(
    header: bytes | None,
) -> None:
    # A job that was accepted and then met a bug of ours may be replayed: another identity would be
    # another record and another START (promise 2).
    came = make_inbound(headers=((wire.REQUEST_ID, header),))
    assert again(await bury(came)).request_id == came.request_id


async def test_a_dead_letter_of_a_replay_tells_the_last_cause() -> None:
    once = await bury(make_inbound())
    twice = await bury(again(once))
    assert twice.headers[: len(once.headers)] == once.headers
    assert twice.header["__streams.errors.offset"] == b"4711"


async def test_what_is_too_large_goes_as_a_stub_that_says_what_it_was() -> None:
    value = bytes(range(256)) * 1_000
    producer = FakeProducer(limit=100_000)
    sent = await bury(make_inbound(value, key=b"k", headers=(("a", b"1"),)), producer)
    assert len(producer.refused) == 1
    assert sent.value == value[:65_536]
    assert STUB_BYTES == 65_536
    assert sent.key == b"k"
    assert sent.headers[0] == ("a", b"1")
    assert sent.header["scanhub.cause"] == b"invalid"
    assert sent.header["scanhub.stub-size"] == b"256000"
    assert sent.header["scanhub.stub-sha256"] == sha256(value).hexdigest().encode()


async def test_they_are_counted_by_cause() -> None:
    metrics = Metrics()
    letters = DeadLetters(make_outbox(FakeProducer()), HandClock(), metrics)
    for _ in range(2):
        await letters.bury(make_inbound(), ERROR, stage="s")
    assert b'scanhub_dead_letters_total{cause="invalid"} 2.0' in metrics.text()
