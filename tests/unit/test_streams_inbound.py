"""Messages as they come in: whose they are, how old they are, and what can't be read."""

from collections.abc import Callable
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import wire
from models.base import Message
from models.errors import PoisonError
from models.scan import DeviceTask, ScanJob, ScanStatus
from models.wire import Cause
from models.workflow import TaskCompletion
from streams.inbound import Headers, Inbound
from tests.unit.test_streams_fakes import NOON_MS, make_inbound

NAME = "muster_anna"
PLANTED = NAME.encode()


def with_headers(**headers: bytes | None) -> Headers:
    return tuple((name.replace("_", "-"), value) for name, value in headers.items())


def test_it_is_taken_over_from_a_faust_event() -> None:
    message = SimpleNamespace(
        partition=3,
        offset=12,
        key=b"k",
        value=b"v",
        timestamp=NOON_MS / 1000,
        headers=[("a", b"1")],
    )
    inbound = Inbound.of(SimpleNamespace(message=message), wire.SCAN_JOBS)
    assert inbound == make_inbound(b"v", partition=3, offset=12, key=b"k", headers=(("a", b"1"),))
    message.headers = None
    assert Inbound.of(SimpleNamespace(message=message), wire.SCAN_JOBS).headers == ()


@given(st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True))
def test_the_request_id_header_is_the_identity(given_id: str) -> None:
    inbound = make_inbound(headers=with_headers(request_id=given_id.encode()))
    assert inbound.request_id == given_id


@pytest.mark.parametrize(
    "header", [b"", b"with space", b"x" * 129, b"\xff", b"a\n", "\u00e4".encode(), None]
)
def test_a_request_id_that_is_none_is_not_used(header: bytes | None) -> None:
    inbound = make_inbound(headers=with_headers(request_id=header))
    assert inbound.request_id == make_inbound().request_id
    UUID(inbound.request_id)


def test_of_a_repeated_header_the_last_counts() -> None:
    headers = ((wire.REQUEST_ID, b"one"), (wire.REQUEST_ID, b"two"))
    assert make_inbound(headers=headers).request_id == "two"


def test_a_cloud_event_has_its_own_identity_wherever_it_stands() -> None:
    headers: Headers = ((wire.CE_SOURCE, b"/ui"), (wire.CE_ID, b"7"))
    here, there = make_inbound(headers=headers), make_inbound(offset=99, headers=headers)
    assert here.request_id == there.request_id
    other: Headers = ((wire.CE_SOURCE, b"/ui"), (wire.CE_ID, b"8"))
    assert make_inbound(headers=other).request_id != here.request_id
    half: Headers = ((wire.CE_SOURCE, b"/ui"),)
    assert make_inbound(headers=half).request_id == make_inbound().request_id


def test_without_headers_the_identity_is_made_from_the_origin() -> None:
    one = make_inbound()
    assert one.request_id == make_inbound(b"other value").request_id
    others = [
        make_inbound(offset=8),
        make_inbound(partition=1),
        make_inbound(topic=wire.SCAN_COMMANDS),
        # A topic that was deleted and made again begins at the same offsets, at a later time.
        make_inbound(timestamp_ms=NOON_MS + 1),
    ]
    assert len({one.request_id, *(other.request_id for other in others)}) == 5


@given(st.integers(0, 10**14))
def test_a_header_makes_a_message_older_never_younger(claimed: int) -> None:
    inbound = make_inbound(headers=with_headers(rerouted_time=str(claimed).encode()))
    assert inbound.born_ms == min(claimed, NOON_MS)


@pytest.mark.parametrize(
    "claimed", [b"-5", b"1e3", b"", b"9" * 16, b"9" * 5000, b"\xff", b" 5", None]
)
def test_a_time_that_is_none_is_not_believed(claimed: bytes | None) -> None:
    assert make_inbound(headers=with_headers(rerouted_time=claimed)).born_ms == NOON_MS


def test_a_rerouted_message_keeps_origin_and_identity() -> None:
    first = make_inbound(topic=wire.SCAN_STATUS, partition=2, offset=5)
    moved = make_inbound(
        topic=wire.SCAN_STATUS,
        partition=6,
        offset=900,
        timestamp_ms=NOON_MS + 5_000,
        headers=with_headers(
            rerouted_from=first.here.encode(), rerouted_time=str(NOON_MS).encode()
        ),
    )
    assert moved.rerouted
    assert not first.rerouted
    assert (moved.origin, moved.born_ms, moved.request_id) == (
        "scan-status-2-5",
        NOON_MS,
        first.request_id,
    )


def test_the_trace_is_carried_on_and_nothing_else() -> None:
    headers = with_headers(tracestate=b"s", other=b"o", traceparent=b"p")
    assert make_inbound(headers=headers).trace == (("traceparent", b"p"), ("tracestate", b"s"))


JOB = b'{"id": 1, "sequence_id": "s", "device_id": "d", %s}'
UNDECODABLE: dict[str, bytes | None] = {
    "nothing": None,
    "empty": b"",
    "no JSON": PLANTED,
    "cut off": b'{"device_id": "' + PLANTED,
    "invalid UTF-8": b'{"device_id": "\xff' + PLANTED + b'"}',
    "lone surrogate": b'{"device_id": "\\ud800' + PLANTED + b'"}',
    "deep nesting": b"[" * 200_000 + PLANTED,
    "deep objects": b'{"a":' * 200_000,
    "digits without end": b'{"priority": ' + b"9" * 100_000 + PLANTED,
}
INVALID: dict[str, bytes] = {
    "no object": b'"' + PLANTED + b'"',
    "a list": b'["' + PLANTED + b'"]',
    "null": b"null",
    "NaN as id": b'{"id": NaN, "sequence_id": "s", "device_id": "d"}',
    "huge id": b'{"id": ' + b"9" * 4_000 + b', "sequence_id": "s", "device_id": "d"}',
    "id is a name": b'{"id": "' + PLANTED + b'", "sequence_id": "s", "device_id": "d"}',
    "id is an object": b'{"id": {"' + PLANTED + b'": 1}, "sequence_id": "s", "device_id": "d"}',
    "age is a name": JOB % (b'"acquisition_limits": {"patient_age": "' + PLANTED + b'"}'),
    "gender is a name": JOB % (b'"acquisition_limits": {"Gender": "' + PLANTED + b'"}'),
    "device of two lines": b'{"id": 1, "sequence_id": "s", "device_id": "' + PLANTED + b'\\n"}',
    "huge priority": JOB % (b'"priority": ' + b"9" * 4_000),
}


def refusal(value: bytes | None, model: type[Message] = ScanJob) -> PoisonError:
    with pytest.raises(PoisonError) as caught:
        make_inbound(value).decode(model)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize("value", UNDECODABLE.values(), ids=UNDECODABLE)
def test_what_is_no_json_is_undecodable_and_its_text_is_not_told(value: bytes | None) -> None:
    error = refusal(value)
    assert error.cause is Cause.UNDECODABLE
    assert NAME not in str(error)


@pytest.mark.parametrize("value", INVALID.values(), ids=INVALID)
def test_what_is_misshapen_is_invalid_and_its_values_are_not_told(value: bytes) -> None:
    error = refusal(value)
    assert error.cause is Cause.INVALID
    assert "ScanJob" in str(error)
    assert NAME not in str(error)
    assert "999" not in str(error)


def test_a_sequence_nested_too_deep_is_invalid() -> None:
    value = (
        b'{"device_id":"d","record_id":1,"command":"START","parametrized_sequence":{'
        b'"acquisition_limits":null,"sequence_parameters":null,"sequence":"' + b"[" * 100_000
    )
    assert refusal(value + b'"}}', DeviceTask).cause is Cause.INVALID


@pytest.mark.parametrize("make", [str.lower, str.upper, str.title])
def test_a_name_that_a_sender_used_as_a_key_is_not_told(make: Callable[[str], str]) -> None:
    value = b'{"task_id": 1, "artifacts": {"%s": 5}}' % make(NAME).encode()
    assert NAME not in str(refusal(value, TaskCompletion)).lower()


def cause_of(value: bytes, model: type[Message]) -> Cause | None:
    try:
        make_inbound(value).decode(model)
    except PoisonError as error:
        return error.cause
    return None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(value: bytes) -> None:
    for model in (ScanJob, ScanStatus, TaskCompletion, DeviceTask):
        assert cause_of(value, model) in (None, Cause.UNDECODABLE, Cause.INVALID)
