"""Walks a large table a little at a time: what is read at once is for the caller to bound.

`DurableTable.items` reads all rows in one go, which blocks the loop for seconds in a table of a
million. Here a walk ends wherever its caller stops, and the next one goes on behind that key.
"""

from collections.abc import Iterator
from typing import TypeVar

from models.base import Message
from streams.tables import DurableTable

RowT = TypeVar("RowT", bound=Message)


def walk(
    table: DurableTable[RowT], partition: int, after: str | None
) -> Iterator[tuple[str, RowT]]:
    """Give a partition's rows in the order of their keys, those behind a key; None: from the first.

    Nothing may be awaited between two rows: a rebalance would close the store below the walk.
    """
    db = table._db(partition)  # noqa: SLF001 - as DurableTable.items, of which this is the slow twin
    offset_key = table._table.data.offset_key  # noqa: SLF001
    first = None if after is None else after.encode() + b"\x00"  # the smallest key behind it
    for key, value in db.items(from_key=first):
        if key != offset_key:
            yield key.decode(), table._model.from_bytes(value)  # noqa: SLF001
