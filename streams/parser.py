r"""Record batches as aiokafka reads them, with header names that are not UTF-8 made readable.

Kafka takes any bytes as a header's name. aiokafka 0.14.0 decodes names strictly, in C: one odd name
raises UnicodeDecodeError out of the fetcher at every attempt, and the partition stands for ever
(promise 4). Here such a batch is read by aiokafka's own parser in Python, from the record that the C
parser refused on, and what is not UTF-8 in a name becomes `\xNN`. The message is then as any other.
"""

from collections.abc import Iterator
from itertools import islice
from struct import unpack_from
from typing import Any, Final, SupportsIndex

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

LENGTH_AT: Final = 8
"""Where a batch's length stands, in all formats: behind its base offset."""
LENGTH_COUNTS_FROM: Final = 12


class Names(bytearray):
    """A buffer whose parts can be read as text, whatever is in them."""

    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        """Give a byte, or a part that is such a buffer as well."""
        part = super().__getitem__(at)
        return Names(part) if isinstance(part, bytearray) else part

    def decode(self, encoding: str = "utf-8", _errors: str = "") -> str:
        r"""Read as text; a byte that is none becomes `\xNN`."""
        return super().decode(encoding, "backslashreplace")


class Batch:
    """One batch; only the way through its records is ours."""

    def __init__(self, batch: Any, data: bytes, number: int) -> None:
        self._batch = batch
        self._data = data
        self._number = number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        """Give the record of a control batch, which has no headers."""
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        given = 0
        try:
            for record in self._batch:
                yield record
                given += 1
        except UnicodeDecodeError:
            yield from islice(self._read_slowly(), given, None)

    def _read_slowly(self) -> Iterator[Any]:
        batch = _DefaultRecordBatchPy(_slice(self._data, self._number))
        # Private, and pinned with the version: the buffer is replaced once it is uncompressed.
        batch._maybe_uncompress()  # noqa: SLF001
        batch._buffer = Names(batch._buffer)  # noqa: SLF001
        return iter(batch)


class Records:
    """What the fetcher takes a partition's batches from."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._records = MemoryRecords(data)
        self._number = 0
        self.has_next = self._records.has_next
        self.size_in_bytes = self._records.size_in_bytes

    def next_batch(self) -> Batch | None:
        """Give the next batch."""
        batch = self._records.next_batch()
        self._number += 1
        return None if batch is None else Batch(batch, self._data, self._number - 1)


def _slice(data: bytes, number: int) -> memoryview:
    """Cut out a batch by its number; all up to it were read, so they are whole."""
    start = 0
    for _ in range(number):
        start += LENGTH_COUNTS_FROM + _length(data, start)
    return memoryview(data)[start : start + LENGTH_COUNTS_FROM + _length(data, start)]


def _length(data: bytes, start: int) -> int:
    length: int = unpack_from(">i", data, start + LENGTH_AT)[0]
    return length


def install() -> None:
    """Have the fetcher read through `Records`: for a worker, before its consumer is made."""
    fetcher.MemoryRecords = Records
