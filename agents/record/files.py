"""A record's registered files: rows by sha256, found by number, SOP Instance UID or RecoJob."""

import asyncio
from collections.abc import Iterator
from typing import Any

from agents.record.state import FileIndex, FileKind, FileRow, file_key, index_key
from streams.tables import DurableTable, Write


class RecordFiles:
    """Reads and writes the rows of files; used by the record's aggregate, read by the downloads."""

    def __init__(self, files: DurableTable[FileRow], index: DurableTable[FileIndex]) -> None:
        self._files = files
        self._index = index

    def by_sha256(self, partition: int, record: str, sha256: str) -> FileRow | None:
        """Find a file by its content."""
        return self._files.get(partition, file_key(record, sha256))

    def by_number(self, partition: int, record: str, number: int) -> FileRow | None:
        """Find a file by its number in the record, 0 first."""
        return self._by(partition, record, "n", number)

    def by_sop_instance(self, partition: int, record: str, uid: str) -> FileRow | None:
        """Find an image by its SOP Instance UID."""
        return self._by(partition, record, "uid", uid)

    def by_reco_job(self, partition: int, record: str, reco_job_id: str) -> FileRow | None:
        """Find the raw data for which a RecoJob was sent."""
        return self._by(partition, record, "job", reco_job_id)

    def all(self, partition: int, record: str, count: int) -> Iterator[FileRow]:
        """Walk a record's files in the order in which they were registered."""
        for number in range(count):
            row = self.by_number(partition, record, number)
            if row is not None:
                yield row

    async def add(self, partition: int, record: str, row: FileRow) -> None:
        """Register a file; durable on return. Registering it again changes nothing."""
        found = FileIndex(sha256=row.sha256)
        names: list[tuple[str, int | str]] = [("n", row.number)]
        if row.sop_instance_uid is not None:
            names.append(("uid", row.sop_instance_uid))
        if row.kind is FileKind.RAW and row.reco_job_id is not None:
            names.append(("job", row.reco_job_id))
        writes: list[Write] = [self._files.put(partition, file_key(record, row.sha256), row)]
        writes += [
            self._index.put(partition, index_key(record, kind, name), found) for kind, name in names
        ]
        await asyncio.gather(*(write.durable() for write in writes))

    async def remove(self, partition: int, record: str, count: int) -> None:
        """Forget a record's files; durable on return. The files themselves stay in the data lake.

        Each stage is durable before the next, which is what a crash in between is found by: names
        by the file's row, the file's row by its number.
        """
        numbers = range(count)
        indexes = [self._index.get(partition, index_key(record, "n", n)) for n in numbers]
        sha256s = {index.sha256 for index in indexes if index is not None}
        names: set[tuple[str, str]] = set()
        for row in (self.by_sha256(partition, record, sha256) for sha256 in sha256s):
            if row is not None:
                found = (("uid", row.sop_instance_uid), ("job", row.reco_job_id))
                names |= {(kind, name) for kind, name in found if name is not None}
        stages: list[tuple[DurableTable[Any], list[str]]] = [
            (self._index, [index_key(record, kind, name) for kind, name in names]),
            (self._files, [file_key(record, sha256) for sha256 in sha256s]),
            (self._index, [index_key(record, "n", number) for number in numbers]),
        ]
        for table, keys in stages:
            writes = [table.delete(partition, key) for key in keys]
            await asyncio.gather(*(write.durable() for write in writes))

    def _by(self, partition: int, record: str, kind: str, name: int | str) -> FileRow | None:
        found = self._index.get(partition, index_key(record, kind, name))
        return None if found is None else self.by_sha256(partition, record, found.sha256)
