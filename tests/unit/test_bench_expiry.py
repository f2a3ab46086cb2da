"""What the expiry's measurement counts: rows by their record, and as old as they should be."""

from agents.device.expiry import is_old as request_is_old
from agents.device.state import RequestRow
from agents.record.expiry import is_old as scan_is_old
from agents.record.state import ScanRow
from bench.expiry_rows import GROWING, Tally, record_of
from bench.rows import record_rows

BORN_MS = 1_000_000_000_000
DAY_MS = 86_400_000


def test_every_filled_row_is_known_by_its_key() -> None:
    for table, _, key, _ in record_rows(7, 50, 8):
        assert table in GROWING
        assert record_of(table, key) == 7
    assert record_of("requests", "mri-0001\x00bench-7") is None
    assert record_of("scans", "7") is None


def test_a_filled_record_is_as_old_as_it_was_asked_for() -> None:
    late = BORN_MS + 7_000 + 14 * DAY_MS
    for _, _, _, row in record_rows(7, 50, 8, BORN_MS):
        if isinstance(row, RequestRow):
            assert (request_is_old(row, late, 14), request_is_old(row, late + 1, 14)) == (
                False,
                True,
            )
        elif isinstance(row, ScanRow):
            ended = late + 7_000
            assert (scan_is_old(row, ended, 14), scan_is_old(row, ended + 1, 14)) == (False, True)


def test_a_row_is_live_until_its_tombstone() -> None:
    tally = Tally(old=1)
    every = [row for number in (0, 1) for row in record_rows(number, 50, 8)]
    for table, _, key, row in every:
        tally.note(table, key.encode(), row.to_bytes())
    expected = {"requests": 1, "scans": 1, "result-files": 2, "result-index": 4}
    assert tally.count("old") == tally.count("young") == expected
    for table, _, key, _ in every[: len(every) // 2]:
        for gone in ("old", ""):  # a second tombstone takes nothing away
            assert tally.note(table, key.encode(), None) == gone
    assert (tally.left(), tally.count("young")) == (0, expected)
