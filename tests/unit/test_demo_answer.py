from hashlib import sha256

import pytest

from models import wire
from models.results import AnswerEnd, AnswerMetadata, AnswerStatus, FileFacts
from sandbox.demo.answer import Answer, BadAnswerError, Fetched

CONTENT = b"first" + b"second"
DIGEST = sha256(CONTENT).hexdigest()
FILE = FileFacts(name="a.dcm", size=len(CONTENT), sha256=DIGEST, media_type="application/dicom")

Part = tuple[dict[str, bytes], bytes]


def metadata(status: AnswerStatus = AnswerStatus.OK, file: FileFacts | None = FILE) -> Part:
    told = AnswerMetadata(
        request_id="r", record_id=1, status=status, file=file, chunks=2, chunk_size=6, reason="so"
    )
    return {wire.PART: b"metadata"}, told.to_bytes()


def chunk(index: int, value: bytes) -> Part:
    digest = sha256(value).hexdigest().encode()
    return {
        wire.PART: b"chunk",
        wire.CHUNK_INDEX: str(index).encode(),
        wire.CHUNK_SHA256: digest,
    }, value


def end(digest: str = DIGEST, size: int = len(CONTENT)) -> Part:
    return {wire.PART: b"end"}, AnswerEnd(sha256=digest, size=size).to_bytes()


def put_together(*parts: Part) -> Fetched | None:
    answer, found = Answer(), None
    for headers, value in parts:
        found = answer.take(headers, value) or found
    return found


def test_a_whole_answer_gives_the_file() -> None:
    found = put_together(metadata(), chunk(0, b"first"), chunk(1, b"second"), end())
    assert found is not None
    assert (found.content, found.file) == (CONTENT, FILE)


def test_parts_may_repeat() -> None:
    parts = [metadata(), chunk(0, b"first"), chunk(0, b"first"), chunk(1, b"second"), end()]
    assert put_together(*parts) is not None


def test_nothing_is_given_before_the_last_part() -> None:
    assert put_together(metadata(), chunk(0, b"first"), end()) is None
    assert put_together(metadata(), chunk(0, b"first"), chunk(1, b"second")) is None


def test_a_missing_file_is_a_sentence() -> None:
    with pytest.raises(BadAnswerError, match="missing: so"):
        put_together(metadata(AnswerStatus.MISSING, None))


def test_a_changed_chunk_is_refused() -> None:
    headers, value = chunk(0, b"first")
    with pytest.raises(BadAnswerError, match="chunk"):
        put_together(metadata(), (headers, value.upper()))


@pytest.mark.parametrize("wrong", [end(digest="0" * 64), end(size=1)])
def test_another_file_than_announced_is_refused(wrong: Part) -> None:
    with pytest.raises(BadAnswerError, match="differs"):
        put_together(metadata(), chunk(0, b"first"), chunk(1, b"second"), wrong)
