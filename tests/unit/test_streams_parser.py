"""A header's name may be any bytes: the batch is read all the same, and nothing in it is lost."""

from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.structs import TopicPartition

from streams import parser
from tests.odd_headers import Record, build

GZIP, LZ4 = 1, 3
PLACE = TopicPartition("t", 0)
RECORDS: list[Record] = [
    (b"a", b"1", {b"good": b"x"}),
    (b"\xff", b"\xfe" * 300, {b"caf\xe9": b"\xff", b"request-id": b"r-1", b"\xed\xa0\x80": None}),
    (None, b"3", {"gr\u00fcn".encode(): b"y", b"\xff": b"z"}),
    (b"d", None, {}),
]
READ = [
    (0, b"a", b"1", (("good", b"x"),)),
    (
        1, b"\xff", b"\xfe" * 300,
        ((r"caf\xe9", b"\xff"), ("request-id", b"r-1"), (r"\xed\xa0\x80", None)),
    ),
    (2, None, b"3", (("gr\u00fcn", b"y"), (r"\xff", b"z"))),
    (3, b"d", None, ()),
]  # fmt: skip


def read(data: bytes, *, start: int = 0, isolation: int = fetcher.READ_UNCOMMITTED) -> list[Any]:
    """Read as the fetcher does, from an offset on."""
    records = parser.Records(data)
    found = fetcher.PartitionRecords(PLACE, records, [], start, None, None, True, isolation)  # noqa: FBT003
    return [(one.offset, one.key, one.value, one.headers) for one in found]


def at(data: bytes, base_offset: int) -> bytes:
    """Give a batch its base offset, as the broker does."""
    return base_offset.to_bytes(8, "big") + data[8:]


def test_aiokafka_itself_stops_at_such_a_name() -> None:
    with pytest.raises(UnicodeDecodeError):
        list(DefaultRecordBatch(build(RECORDS)))


@pytest.mark.parametrize("compression", [0, GZIP, LZ4])
def test_a_name_that_is_no_text_is_escaped_and_all_else_is_as_it_was(compression: int) -> None:
    assert read(build(RECORDS, compression=compression)) == READ


def test_no_record_is_given_twice() -> None:
    batch = parser.Records(build(RECORDS)).next_batch()
    assert batch is not None
    assert [record.offset for record in batch] == [0, 1, 2, 3]


def test_the_batches_before_and_behind_are_read_as_well() -> None:
    odd, plain = build(RECORDS), build([(b"k", b"v", {})] * 2, compression=GZIP)
    data = at(plain, 0) + at(odd, 2) + at(plain, 6) + at(odd, 8) + odd[:40]  # the last one cut
    assert [one[0] for one in read(data)] == list(range(12))
    assert [one[3] for one in read(data)][8:] == [one[3] for one in READ]


def test_reading_goes_on_in_the_middle_of_a_batch() -> None:
    assert read(build(RECORDS), start=2) == READ[2:]


def test_a_batch_that_is_broken_is_still_refused() -> None:
    data = bytearray(build(RECORDS))
    data[-1] ^= 1
    with pytest.raises(fetcher.Errors.CorruptRecordException):
        read(bytes(data))


def test_the_brokers_own_marks_of_transactions_are_read_as_ever() -> None:
    marker = bytearray(build([(b"\x00\x00\x00\x01", b"\x00" * 6, {})]))
    marker[22] |= 0x30  # a control batch, in a transaction
    data = at(bytes(marker), 0) + at(build(RECORDS), 1)
    records = parser.Records(data)
    batch = records.next_batch()
    assert batch is not None
    assert batch.is_control_batch
    assert next(batch).key == b"\x00\x00\x00\x01"
    assert records.has_next()
    assert records.size_in_bytes() == len(data)


def test_it_is_used_once_it_is_installed_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "MemoryRecords", fetcher.MemoryRecords)
    assert fetcher.MemoryRecords is not parser.Records
    parser.install()
    assert fetcher.MemoryRecords is parser.Records
