"""Puts the answer to a ResultRequest together: places chunks by index, checks each, knows what lacks.

Delivery is at least once, and a request may be answered twice: parts may repeat or interleave.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol

from pydantic import ValidationError

from commands.ask import read_metadata
from commands.base import CommandError, Exit
from models import wire
from models.results import AnswerEnd, AnswerMetadata, AnswerStatus, FileFacts

CODES = {
    AnswerStatus.MISSING: Exit.MISSING,
    AnswerStatus.CORRUPT: Exit.CORRUPT,
    AnswerStatus.REFUSED: Exit.ERROR,
}


class Sink(Protocol):
    """Where a file's bytes go."""

    def write(self, offset: int, data: bytes) -> None:
        """Put bytes at a place."""

    def restart(self) -> None:
        """Drop all that was written."""


class Assembly:
    """An answer as far as it came."""

    def __init__(self, sink: Sink) -> None:
        self.metadata: AnswerMetadata | None = None
        self._sink = sink
        self._have: set[int] = set()
        self._end: AnswerEnd | None = None

    @property
    def refused(self) -> CommandError | None:
        """Why there is no file, if the answer says so."""
        if self.metadata is None or self.metadata.status is AnswerStatus.OK:
            return None
        reason = self.metadata.reason or f"the record's file is {self.metadata.status}"
        return CommandError(reason, CODES[self.metadata.status])

    @property
    def file(self) -> FileFacts:
        """The file that is answered with."""
        if self.metadata is None or self.metadata.file is None:
            raise CommandError("the answer names no file")
        return self.metadata.file

    @property
    def received(self) -> int:
        """Chunks that are in place."""
        return len(self._have)

    def take(self, headers: Mapping[str, str], value: bytes) -> bool:
        """Take a part; True when the answer is complete.

        Raises CommandError (CORRUPT) for a part that can't be right.
        """
        part = headers.get(wire.PART)
        if part == "metadata":
            self._take_metadata(value)
        elif part == "chunk" and self.metadata is not None:
            self._take_chunk(headers, value)
        elif part == "end" and self.metadata is not None and self.refused is None:
            self._take_end(value)
        return self.refused is not None or self._complete()

    def _complete(self) -> bool:
        if self.metadata is None or self._end is None:
            return False
        return len(self._have) == self.metadata.chunks

    def _take_metadata(self, value: bytes) -> None:
        new, old = read_metadata(value), self.metadata
        if old is not None and old.status is new.status and _same_file(old.file, new.file):
            return
        self.metadata = new
        if new.status is AnswerStatus.OK and (
            new.chunk_size <= 0 or new.chunks != -(-self.file.size // new.chunk_size)
        ):
            raise _corrupt("its chunks do not add up to its size")
        if old is not None:
            # Asked again, and the record has another file by now: from the beginning.
            self._have.clear()
            self._end = None
            self._sink.restart()

    def _take_chunk(self, headers: Mapping[str, str], value: bytes) -> None:
        if self.metadata is None or self.refused is not None:
            return
        index, offset = (_number(headers, n) for n in (wire.CHUNK_INDEX, wire.CHUNK_OFFSET))
        size, step = self.file.size, self.metadata.chunk_size
        if index >= self.metadata.chunks or offset != index * step:
            raise _corrupt("a chunk has no place in the file")
        if len(value) != min(step, size - offset):
            raise _corrupt(f"chunk {index} has {len(value)} bytes")
        if sha256(value).hexdigest() != headers.get(wire.CHUNK_SHA256):
            raise _corrupt(f"the sha256 of chunk {index} differs")
        if index not in self._have:
            self._sink.write(offset, value)
            self._have.add(index)

    def _take_end(self, value: bytes) -> None:
        try:
            end = AnswerEnd.from_bytes(value)
        except ValidationError:
            raise _corrupt("its end can't be read") from None
        if (end.size, end.sha256) != (self.file.size, self.file.sha256):
            raise _corrupt("the file changed while it was read")
        self._end = end


def _same_file(one: FileFacts | None, other: FileFacts | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.size, one.sha256) == (other.size, other.sha256)


def _number(headers: Mapping[str, str], name: str) -> int:
    text = headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 - below 2^63
        raise _corrupt("a chunk does not say where it belongs")
    return int(text)


def _corrupt(what: str) -> CommandError:
    return CommandError(f"what came is not the file: {what}. Nothing was written", Exit.CORRUPT)
