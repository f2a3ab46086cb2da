"""Dead letters: the message as it came, its cause beside it, nothing lost for its size."""

import asyncio
import logging
from collections.abc import Callable
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


async def test_a_letter_has_each_of_our_names_once_whoever_wrote_them() -> None:
    """Replayed by hand with all its headers, or forged: a reader need not ask which one counts."""
    forged = tuple((name, b"forged") for name in sorted(wire.DEAD_HEADERS))
    once = await bury(make_inbound(b"", headers=(("a", b"1"), *forged)))
    twice = await bury(again(once))
    for sent in (once, twice):
        names = [name for name, _ in sent.headers]
        assert len(names) == len(set(names))
        assert b"forged" not in sent.header.values()
        assert wire.DEAD_STUB_SIZE not in names
        assert sent.headers[0] == ("a", b"1")
    assert twice.header["__streams.errors.offset"] == b"4711"


@pytest.mark.parametrize(
    ("given", "kept"),
    [(b"2", b"2"), (b"999999", b"999999"), (b"0", b"1"), (b"-3", b"1"), (b"x", b"1"), (b"", b"1"),
     (b"1000000", b"1"), ("٣".encode(), b"1"), (None, b"1")],
)  # fmt: skip
async def test_a_replays_attempts_are_taken_over(given: bytes | None, kept: bytes) -> None:
    sent = await bury(make_inbound(headers=((wire.DEAD_ATTEMPTS, given),)))
    assert sent.header["scanhub.attempts"] == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [(b"2023-11-01T00:00:00.000Z", b"2023-11-01T00:00:00.000Z"),
     (b"2099-01-01T00:00:00.000Z", b"2023-11-14T22:13:20.000Z"),
     (b"yesterday", b"2023-11-14T22:13:20.000Z")],
)  # fmt: skip
async def test_when_it_failed_first_stays_over_replays(given: bytes, kept: bytes) -> None:
    sent = await bury(make_inbound(headers=((wire.DEAD_FIRST_FAILED_AT, given),)))
    assert sent.header["scanhub.first-failed-at"] == kept
    assert sent.header["scanhub.failed-at"] == b"2023-11-14T22:13:20.000Z"


async def test_what_is_too_large_goes_as_a_stub_that_says_what_it_was() -> None:
    value = bytes(range(256)) * 1_000
    producer = FakeProducer(limit=100_000)
    headers = (("a", b"1"), (wire.DEAD_STUB_SIZE, b"forged"))
    sent = await bury(make_inbound(value, key=b"k", headers=headers), producer)
    assert [name for name, _ in sent.headers].count(wire.DEAD_STUB_SIZE) == 1
    assert len(producer.refused) == 1
    assert sent.value == value[:65_536]
    assert STUB_BYTES == 65_536
    assert sent.key == b"k"
    assert sent.headers[0] == ("a", b"1")
    assert sent.header["scanhub.cause"] == b"invalid"
    assert sent.header["scanhub.stub-size"] == b"256000"
    assert sent.header["scanhub.stub-sha256"] == sha256(value).hexdigest().encode()


class Flooded:
    """Buries letters, and keeps what the log says."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING, "streams.deadletters")
        self._caplog = caplog
        self.clock = HandClock()
        self.metrics = Metrics()
        self.producer = FakeProducer()
        self.letters = DeadLetters(make_outbox(self.producer), self.clock, self.metrics)

    async def bury(self, count: int, topic: str = wire.SCAN_JOBS) -> None:
        for _ in range(count):
            await self.letters.bury(make_inbound(topic=topic), ERROR, stage="s")

    @property
    def said(self) -> list[str]:
        said = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return said


async def test_all_are_written_and_counted_by_topic_and_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flooded = Flooded(caplog)
    await flooded.bury(12)
    await flooded.bury(1, wire.SCAN_STATUS)
    assert len(flooded.producer.sent) == 13
    text = flooded.metrics.text()
    assert b'scanhub_dead_letters_total{cause="invalid",topic="scan-jobs"} 12.0' in text
    assert b'scanhub_dead_letters_total{cause="invalid",topic="scan-status"} 1.0' in text


async def test_a_flood_of_one_kind_is_told_five_times_a_minute_then_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flooded = Flooded(caplog)
    await flooded.bury(12)
    assert len(flooded.said) == 5
    await flooded.bury(1, wire.SCAN_STATUS)
    assert len(flooded.said) == 1  # another kind is told
    flooded.clock.move(59)
    await flooded.bury(1)
    assert flooded.said == []
    flooded.clock.move(1)
    await flooded.bury(1, wire.SCAN_STATUS)
    told = flooded.said
    assert told[0] == "dead letters: 8 more of scan-jobs (invalid) within a minute"
    assert len(told) == 2
    await flooded.bury(1)
    assert len(flooded.said) == 1


async def test_the_number_is_told_also_when_no_other_letter_comes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    flooded = Flooded(caplog)
    later: list[tuple[float, Callable[[], None]]] = []
    monkeypatch.setattr(
        asyncio.get_running_loop(), "call_later", lambda wait, run: later.append((wait, run))
    )
    monkeypatch.setattr(flooded.letters, "_timer", None)
    await flooded.bury(5)
    assert later == []
    flooded.clock.move(20)
    await flooded.bury(2)
    wait_s, run = later[0]
    assert wait_s == pytest.approx(40)
    assert len(flooded.said) == 5
    flooded.clock.move(39)
    run()  # too early, by another clock: it is set once more
    assert flooded.said == []
    assert later[-1][0] == pytest.approx(1)
    flooded.clock.move(1)
    later[-1][1]()
    assert flooded.said == ["dead letters: 2 more of scan-jobs (invalid) within a minute"]
