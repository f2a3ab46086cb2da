import random
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.answers import Assembly
from commands.base import CommandError, Exit
from commands.partial import Partial
from models import wire
from models.results import AnswerEnd, AnswerMetadata, AnswerStatus, FileFacts

STEP = 16
DATA = bytes(range(70))
Part = tuple[dict[str, str], bytes]


class _Memory:
    def __init__(self) -> None:
        self.data = bytearray()
        self.writes = 0

    def write(self, offset: int, data: bytes) -> None:
        self.writes += 1
        self.data.extend(bytes(max(0, offset + len(data) - len(self.data))))
        self.data[offset : offset + len(data)] = data

    def restart(self) -> None:
        self.data.clear()


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()


def _metadata(data: bytes = DATA, **changes: Any) -> Part:
    file = FileFacts(name="a.dcm", size=len(data), sha256=_hash(data), media_type="a/b")
    given: dict[str, Any] = {
        "request_id": "r1",
        "record_id": 5,
        "status": AnswerStatus.OK,
        "file": file,
        "chunks": -(-len(data) // STEP),
        "chunk_size": STEP,
    }
    return {wire.PART: "metadata"}, AnswerMetadata(**{**given, **changes}).to_bytes()


def _chunk(number: int, data: bytes = DATA, **changes: str) -> Part:
    value = data[number * STEP : (number + 1) * STEP]
    headers = {
        wire.PART: "chunk",
        wire.CHUNK_INDEX: str(number),
        wire.CHUNK_OFFSET: str(number * STEP),
        wire.CHUNK_SHA256: _hash(value),
    }
    return {**headers, **changes}, value


def _end(data: bytes = DATA) -> Part:
    return {wire.PART: "end"}, AnswerEnd(sha256=_hash(data), size=len(data)).to_bytes()


def _whole(data: bytes = DATA) -> list[Part]:
    chunks = [_chunk(index, data) for index in range(-(-len(data) // STEP))]
    return [_metadata(data), *chunks, _end(data)]


def _feed(parts: list[Part]) -> tuple[Assembly, _Memory, list[bool]]:
    memory = _Memory()
    assembly = Assembly(memory)
    return assembly, memory, [assembly.take(*part) for part in parts]


@pytest.mark.parametrize("size", [0, 1, STEP, STEP + 1, 70])
def test_a_file_comes_together(size: int) -> None:
    data = DATA[:size]
    assembly, memory, done = _feed(_whole(data))
    assert bytes(memory.data) == data
    assert done == [False] * (len(done) - 1) + [True]
    assert assembly.refused is None
    assert assembly.file.sha256 == _hash(data)


@given(st.randoms(use_true_random=False), st.integers(0, 8))
def test_order_and_repeats_make_no_difference(shuffled: random.Random, extra: int) -> None:
    first, *others = _whole()
    others += [shuffled.choice([first, *others]) for _ in range(extra)]
    shuffled.shuffle(others)
    _, memory, done = _feed([first, *others])
    assert done[-1]
    assert bytes(memory.data) == DATA
    assert memory.writes == -(-len(DATA) // STEP)


def test_it_is_not_complete_while_a_chunk_lacks() -> None:
    parts = _whole()
    lacking = parts.pop(2)
    assembly, memory, done = _feed(parts)
    assert not any(done)
    assert assembly.received == 4
    assert assembly.take(*lacking)
    assert bytes(memory.data) == DATA


def test_parts_before_the_metadata_count_for_nothing() -> None:
    _, memory, done = _feed([_chunk(0), _end(), *_whole()])
    assert done[-1]
    assert not any(done[:-1])
    assert bytes(memory.data) == DATA


def test_another_file_begins_from_the_beginning() -> None:
    other = b"x" * 40
    assembly, memory, done = _feed([*_whole()[:4], *_whole(other)])
    assert done[-1]
    assert bytes(memory.data) == other
    assert assembly.file.size == 40


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (AnswerStatus.MISSING, Exit.MISSING),
        (AnswerStatus.CORRUPT, Exit.CORRUPT),
        (AnswerStatus.REFUSED, Exit.ERROR),
    ],
)
def test_a_refusal_is_the_answer(status: AnswerStatus, code: Exit) -> None:
    part = _metadata(status=status, file=None, chunks=0, reason="the reason")
    assembly, _, done = _feed([part])
    assert done == [True]
    assert assembly.refused is not None
    assert (str(assembly.refused), assembly.refused.code) == ("the reason", code)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([_metadata(chunks=4)], id="too few chunks"),
        pytest.param([_metadata(chunk_size=0)], id="chunks of nothing"),
        pytest.param([_metadata(), ({**_chunk(0)[0]}, b"y" * STEP)], id="other bytes"),
        pytest.param([_metadata(), (_chunk(0)[0], b"y")], id="a short chunk"),
        pytest.param([_metadata(), _chunk(0, index="5")], id="no such index"),
        pytest.param([_metadata(), _chunk(0, index="1")], id="index and offset differ"),
        pytest.param([_metadata(), _chunk(0, index="-1")], id="below the first"),
        pytest.param([_metadata(), _chunk(0, offset="x")], id="no offset"),
        pytest.param([_metadata(), _chunk(0, index="9" * 30)], id="beyond all numbers"),
        pytest.param([_metadata(), _end(b"other")], id="another file's end"),
        pytest.param([_metadata(), ({wire.PART: "end"}, b"{}")], id="an end that says nothing"),
    ],
)
def test_what_can_not_be_right_is_corrupt(parts: list[Part]) -> None:
    with pytest.raises(CommandError) as caught:
        _feed(parts)
    assert caught.value.code is Exit.CORRUPT


@pytest.mark.parametrize("part", [_metadata(file=None), ({wire.PART: "metadata"}, b"{}")])
def test_an_answer_that_says_nothing_is_an_error(part: Part) -> None:
    with pytest.raises(CommandError) as caught:
        _feed([part])
    assert caught.value.code is Exit.ERROR


def test_a_partial_file_takes_its_place_when_it_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "image.dcm"
    target.write_bytes(b"old")
    with Partial(target) as partial:
        partial.write(2, b"cd")
        partial.write(0, b"ab")
        assert target.read_bytes() == b"old"
        assert (partial.size(), partial.sha256()) == (4, _hash(b"abcd"))
        partial.keep()
    assert target.read_bytes() == b"abcd"
    assert list(tmp_path.iterdir()) == [target]


def test_a_partial_file_that_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    with Partial(tmp_path / "image.dcm") as partial:
        partial.write(0, b"abc")
        partial.restart()
        assert partial.size() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "none/image.dcm"])
def test_where_no_file_can_be_is_said_before_asking(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError), Partial(tmp_path / name):
        pass
