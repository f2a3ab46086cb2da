"""Replay: what `bury` did is undone exactly, and a replay is the same message once more."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import wire
from models.errors import PoisonError
from models.wire import Cause
from streams.deadletters import DeadLetters, senders_own
from streams.inbound import Headers, Inbound
from streams.metrics import Metrics
from streams.replay import Replay, replay_of
from streams.topics import partition_of
from tests.unit.test_streams_fakes import FakeProducer, HandClock, make_inbound, make_outbox

PARTITIONS = 8
DEVICE = b"mri-1"
HOME = partition_of(DEVICE, PARTITIONS)
JOB = b'{"id": 17, "sequence_id": "65a1b2c3d4e5f60718293a4b", "device_id": "mri-1"}'
ERROR = PoisonError("internal error KeyError", Cause.INTERNAL)

NAMES = (
    st.sampled_from([
        wire.REQUEST_ID, wire.CE_ID, wire.CE_SOURCE, wire.TRACEPARENT, wire.MESSAGE_ID,
        "scanhub", "scanhub.", "scanhub.causes", "__streams.errors.stacktrace", "x-scanhub.cause",
    ])
    | st.sampled_from(sorted(wire.DEAD_HEADERS))
    | st.text(max_size=8)
)  # fmt: skip
VALUES = st.none() | st.binary(max_size=8) | st.sampled_from([b"req-1", b"no id", b"2", b"true"])
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=8).map(tuple)
KEYS = st.none() | st.binary(max_size=6)
CONTENT = st.none() | st.binary(max_size=6) | st.just(JOB)


def bury(inbound: Inbound) -> Inbound:
    """Make a message's dead letter, as it is read from its topic."""
    producer = FakeProducer()
    letters = DeadLetters(make_outbox(producer), HandClock(), Metrics())
    asyncio.run(letters.bury(inbound, ERROR, stage="s"))
    (sent,) = producer.sent
    return make_inbound(
        sent.value, topic=wire.DEAD_LETTERS, offset=99, key=sent.key, headers=tuple(sent.headers)
    )


def arrive(replay: Replay, offset: int = 4_711, timestamp_ms: int = 5) -> Inbound:
    """Let a replay arrive where it is sent to."""
    place = HOME if replay.key is None else partition_of(replay.key, PARTITIONS)
    return make_inbound(
        replay.value, topic=replay.topic, partition=place, offset=offset, key=replay.key,
        headers=replay.headers, timestamp_ms=timestamp_ms,
    )  # fmt: skip


def own(headers: Headers) -> Headers:
    """The sender's headers: not ours, and without an identity, which is checked by itself."""
    return tuple((n, v) for n, v in senders_own(headers) if n not in MOVED)


MOVED = (wire.REROUTED_FROM, wire.REROUTED_TIME, wire.REQUEST_ID)


@given(
    HEADERS, KEYS, CONTENT,
    st.sampled_from([wire.SCAN_JOBS, wire.SCAN_STATUS]), st.integers(0, PARTITIONS - 1),
)  # fmt: skip
def test_a_replays_letter_is_the_same_but_for_its_attempts(
    headers: Headers, key: bytes | None, value: bytes | None, topic: str, partition: int
) -> None:
    came = make_inbound(value, topic=topic, partition=partition, key=key, headers=headers)
    letter = bury(came)
    first = int(letter.header[wire.DEAD_ATTEMPTS])
    for times in (1, 2, 3):
        replay = replay_of(letter, PARTITIONS)
        assert replay.attempts == first + times
        again = arrive(replay, offset=1_000 + times)
        assert (again.topic, again.key, again.value) == (topic, key, value)
        assert again.request_id == came.request_id
        assert own(again.headers) == own(came.headers)
        sent = [pair for pair in again.headers if pair[0] == wire.REQUEST_ID]
        given_ids = [pair for pair in came.headers if pair[0] == wire.REQUEST_ID]
        assert sent[: len(given_ids)] == given_ids
        assert len(sent) <= len(given_ids) + 1
        letter = bury(again)
        assert letter.header[wire.DEAD_ATTEMPTS] == str(first + times).encode()
        names = [name for name, _ in letter.headers if name in wire.DEAD_HEADERS]
        assert len(names) == len(set(names))
        assert (letter.key, letter.value or None) == (key, value or None)


def test_of_ours_two_headers_travel_and_no_other() -> None:
    replay = replay_of(
        bury(make_inbound(topic=wire.SCAN_STATUS, headers=(("a", b"1"),))), PARTITIONS
    )
    names = [name for name, _ in replay.headers]
    assert names == ["a", wire.REQUEST_ID, "scanhub.attempts", "scanhub.first-failed-at"]


def test_null_is_null_again_and_empty_stays_empty() -> None:
    cases: Sequence[tuple[bytes | None, bytes | None]] = (
        (None, None), (None, b""), (b"k", None), (b"k", b""), (None, b"x"),
    )  # fmt: skip
    for key, value in cases:
        replay = replay_of(bury(make_inbound(value, topic=wire.SCAN_STATUS, key=key)), PARTITIONS)
        assert (replay.key, replay.value) == (key, value)


def test_a_forged_null_takes_no_value_away() -> None:
    forged = make_inbound(b"x", topic=wire.DEAD_LETTERS, headers=((wire.DEAD_NULL_VALUE, b"true"),))
    assert replay_of(forged, PARTITIONS).value == b"x"


def test_a_job_that_was_accepted_is_resumed_as_the_same_message() -> None:
    """Another origin would be a repeat: announced, and never taken further."""
    came = make_inbound(JOB, partition=HOME, key=DEVICE)
    again = arrive(replay_of(bury(came), PARTITIONS))
    assert again.origin == came.origin == f"scan-jobs-{HOME}-7"
    once_more = arrive(replay_of(bury(again), PARTITIONS), offset=8_000)
    assert once_more.origin == came.origin
    assert [n for n, _ in once_more.headers].count(wire.REROUTED_FROM) == 1


@pytest.mark.parametrize(
    ("key", "partition", "value"),
    [(None, HOME, JOB), (b"mri-1", (HOME + 1) % PARTITIONS, JOB), (b"mri-1", HOME, b"{"),
     (b"other", partition_of(b"other", PARTITIONS), JOB)],
)  # fmt: skip
def test_a_job_that_stood_elsewhere_may_still_be_moved(
    key: bytes | None, partition: int, value: bytes
) -> None:
    """The intake moves a message once: one that says that it was moved is refused."""
    again = arrive(replay_of(bury(make_inbound(value, partition=partition, key=key)), PARTITIONS))
    assert not again.rerouted


def test_a_replayed_job_is_as_old_as_its_replay_also_if_it_was_moved() -> None:
    moved = ((wire.REROUTED_FROM, b"scan-jobs-3-9"), (wire.REROUTED_TIME, b"1"))
    came = make_inbound(JOB, partition=HOME, key=DEVICE, headers=moved)
    assert came.born_ms == 1
    again = arrive(replay_of(bury(came), PARTITIONS), timestamp_ms=50)
    assert (again.born_ms, again.origin) == (50, "scan-jobs-3-9")


def test_of_other_messages_place_and_age_stay_as_they_are() -> None:
    moved = ((wire.REROUTED_FROM, b"scan-status-3-9"), (wire.REROUTED_TIME, b"1"))
    came = make_inbound(topic=wire.SCAN_STATUS, key=b"5", headers=moved)
    again = arrive(replay_of(bury(came), PARTITIONS))
    assert (again.born_ms, again.origin, again.mark) == (1, came.origin, came.mark)
    plain = make_inbound(topic=wire.SCAN_STATUS, key=b"5")
    assert not arrive(replay_of(bury(plain), PARTITIONS)).rerouted
