"""Record batches as a client in C or Go can send them: with header names that are not UTF-8."""

from collections.abc import Sequence
from typing import Any

from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

Record = tuple[bytes | None, bytes | None, dict[bytes, bytes | None]]
"""Key, value, and headers with names as bytes."""


class Name(str):
    """A header's name that goes out as the bytes that it was made of."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", _errors: str = "") -> bytes:
        return super().encode(encoding, "surrogateescape")


def build(records: Sequence[Record], *, compression: int = 0) -> bytes:
    """Build a batch by aiokafka's builder in Python; the one in C encodes names itself."""
    builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, -1, 1 << 20)
    for offset, (key, value, headers) in enumerate(records):
        named = [(Name(name, "utf-8", "surrogateescape"), text) for name, text in headers.items()]
        builder.append(offset, None, key, value, named)
    return bytes(builder.build())


async def send(producer: Any, topic: str, partition: int, records: Sequence[Record]) -> None:
    """Send records as one batch through an AIOKafkaProducer, and wait for the broker."""
    batch = producer.create_batch()
    batch._buffer = build(records)
    batch._relative_offset = len(records)
    batch.close()
    await (await producer.send_batch(batch, topic, partition=partition))
