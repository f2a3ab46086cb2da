"""Puts the answer to a ResultRequest together, and checks every byte of it.

Parts may come twice (delivery is at least once); they may not come wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from models import wire
from models.results import AnswerEnd, AnswerMetadata, AnswerStatus, FileFacts, ScanFacts


class BadAnswerError(Exception):
    """What came is not the file that was announced, or there is none; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file with what was told of it."""

    content: bytes = field(repr=False)
    file: FileFacts
    scan: ScanFacts | None


@dataclass(slots=True)
class Answer:
    """An answer as far as it came."""

    _metadata: AnswerMetadata | None = None
    _chunks: dict[int, bytes] = field(default_factory=dict)
    _end: AnswerEnd | None = None

    def take(self, headers: Mapping[str, bytes], value: bytes) -> Fetched | None:
        """Take a part; gives the file with its last one. Raises BadAnswerError."""
        part = headers.get(wire.PART)
        if part == b"metadata":
            self._metadata = AnswerMetadata.from_bytes(value)
            if self._metadata.status is not AnswerStatus.OK:
                reason = self._metadata.reason or "no reason given"
                raise BadAnswerError(f"the answer is {self._metadata.status}: {reason}")
        elif part == b"chunk":
            if sha256(value).hexdigest().encode() != headers.get(wire.CHUNK_SHA256):
                raise BadAnswerError("a chunk's sha256 differs")
            self._chunks[int(headers[wire.CHUNK_INDEX])] = value
        elif part == b"end":
            self._end = AnswerEnd.from_bytes(value)
        return self._whole()

    def _whole(self) -> Fetched | None:
        told, end = self._metadata, self._end
        if told is None or end is None or len(self._chunks) < told.chunks:
            return None
        if told.file is None:
            raise BadAnswerError("the answer names no file")
        content = b"".join(self._chunks[index] for index in sorted(self._chunks))
        digest = sha256(content).hexdigest()
        for size, wanted in ((told.file.size, told.file.sha256), (end.size, end.sha256)):
            if len(content) != size or digest != wanted:
                raise BadAnswerError("the file's size or sha256 differs")
        return Fetched(content, told.file, told.scan)
