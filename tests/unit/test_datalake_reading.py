"""Reading files back, checking them again, removing sources."""

import contextlib
import hashlib
from pathlib import Path

import pytest

from datalake import DataLake, FileMissing, RawKind, Stored
from models.errors import PoisonError
from models.results import AnswerStatus

DATA = bytes(range(256)) * 1000
HASH = hashlib.sha256(DATA).hexdigest()
TARGET = f"records/12/{HASH[:12]}-raw.npy"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.npy").write_bytes(DATA)
    return tmp_path


@pytest.fixture
def lake(root: Path) -> DataLake:
    return DataLake(root)


async def take_in(lake: DataLake) -> Stored:
    return await lake.take_in("12", "inbox/a.npy", size=len(DATA), sha256=HASH, suffix="raw.npy")


async def test_check_tells_ok_missing_and_corrupt(lake: DataLake, root: Path) -> None:
    stored = await take_in(lake)

    async def status() -> AnswerStatus:
        return await lake.check(stored.location, size=stored.size, sha256=stored.sha256)

    assert await status() is AnswerStatus.OK
    (root / TARGET).write_bytes(DATA[::-1])
    assert await status() is AnswerStatus.CORRUPT
    (root / TARGET).write_bytes(DATA[:-1])
    assert await status() is AnswerStatus.CORRUPT
    (root / TARGET).unlink()
    assert await status() is AnswerStatus.MISSING
    (root / TARGET).symlink_to(root / "inbox" / "a.npy")
    assert await status() is AnswerStatus.CORRUPT


async def test_a_file_is_given_in_chunks(lake: DataLake) -> None:
    chunks = [chunk async for chunk in lake.get_data_from_file("inbox/a.npy", chunk_size=100_000)]
    assert [len(chunk) for chunk in chunks] == [100_000, 100_000, 56_000]
    assert b"".join(chunks) == DATA


async def test_stopping_early_closes_the_file(lake: DataLake) -> None:
    def held() -> int:
        targets = []
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                targets.append(link.readlink().name)
        return targets.count("a.npy")

    async with contextlib.aclosing(lake.get_data_from_file("inbox/a.npy", chunk_size=10)) as chunks:
        async for _ in chunks:
            assert held() == 1
            break
    assert held() == 0


async def test_reading_a_missing_or_linked_file_is_refused(lake: DataLake, root: Path) -> None:
    (root / "link").symlink_to("inbox/a.npy")
    for location, kind in [("none", FileMissing), ("link", PoisonError), ("a\0b", PoisonError)]:
        with pytest.raises(kind):
            await anext(lake.get_data_from_file(location))


async def test_sources_are_removed_but_never_records(lake: DataLake, root: Path) -> None:
    stored = await take_in(lake)
    assert not await lake.remove_source(stored.location)
    assert not await lake.remove_source("RECORDS/12/x")
    assert not await lake.remove_source("../outside")
    assert not await lake.remove_source("inbox")
    assert await lake.remove_source("inbox/a.npy")
    assert await lake.remove_source("inbox/a.npy")
    assert (root / TARGET).exists()
    assert not (root / "inbox" / "a.npy").exists()


async def test_a_source_that_was_written_anew_stays(lake: DataLake, root: Path) -> None:
    (root / "inbox" / "a.npy").write_bytes(b"the next upload")
    assert not await lake.remove_source("inbox/a.npy", size=len(DATA), sha256=HASH)
    assert (root / "inbox" / "a.npy").exists()
    (root / "inbox" / "a.npy").write_bytes(DATA)
    assert await lake.remove_source("inbox/a.npy", size=len(DATA), sha256=HASH)
    assert not (root / "inbox" / "a.npy").exists()


async def test_free_bytes_and_the_kind_of_raw_data(lake: DataLake) -> None:
    assert await lake.free_bytes() > 0
    assert await lake.inspect_raw("inbox/a.npy") is RawKind.OTHER
