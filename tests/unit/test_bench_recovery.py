"""What the recovery's measurement is made of: rows as the processor's, and times read right."""

from collections import Counter
from typing import cast

from agents.device.state import RequestRow, request_key
from agents.record.files import RecordFiles
from agents.record.state import FileIndex, FileRow, ScanRow
from bench.deaths import figures
from bench.load import device_names
from bench.rows import FIRST_RECORD, record_rows
from models.events import ScanState
from streams.topics import partition_of
from tests.unit.test_streams_fakes import MemoryTable

PARTITIONS = 8


def test_the_rows_of_a_record_are_where_the_agents_look_for_them() -> None:
    rows = list(record_rows(7, 50, PARTITIONS))
    assert Counter(table for table, *_ in rows) == {
        "requests": 1, "scans": 1, "result-files": 2, "result-index": 4,
    }  # fmt: skip
    found = {(table, partition, key): row for table, partition, key, row in rows}
    device, record = device_names(50)[7], str(FIRST_RECORD + 7)
    place = partition_of(device.encode(), PARTITIONS)
    request = cast("RequestRow", found["requests", place, request_key(device, "filled-7")])
    assert request.identity.record_id == FIRST_RECORD + 7
    place = partition_of(record.encode(), PARTITIONS)
    scan = cast("ScanRow", found["scans", place, record])
    assert scan.state is ScanState.COMPLETED
    assert scan.scan == request.identity


def test_the_files_of_a_filled_record_are_found_by_each_of_their_names() -> None:
    files, index = MemoryTable(FileRow), MemoryTable(FileIndex)
    for _, partition, key, row in record_rows(7, 50, PARTITIONS):
        if isinstance(row, FileRow):
            files.put(partition, key, row)
        elif isinstance(row, FileIndex):
            index.put(partition, key, row)
    record = str(FIRST_RECORD + 7)
    place = partition_of(record.encode(), PARTITIONS)
    book = RecordFiles(files, index)
    raw, image = book.all(place, record, 2)
    assert book.by_reco_job(place, record, raw.reco_job_id or "") == raw
    assert book.by_sop_instance(place, record, image.sop_instance_uid or "") == image


def test_what_never_came_has_no_worst() -> None:
    assert figures([1.0, 3.0, 2.0]) == {"median": 2.0, "worst": 3.0, "all": [1.0, 3.0, 2.0]}
    assert figures([1.0, None])["worst"] is None
