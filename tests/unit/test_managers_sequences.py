import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from managers import Sequence, SequenceManager
from managers.sequences import SEQUENCE_MOST
from models.errors import PermanentError, TransientError
from tests.unit.test_managers_servers import Answer, Server, Taken, response, says, sends, serving

ID = "65a1b2c3d4e5f60718293a4b"
EXAMPLE = Path(__file__).parents[1] / "contracts" / "examples" / "sequence-out.json"


def _raw(size: int = 0) -> bytes:
    return json.dumps({"_id": ID, "name": "epi", "file": "x" * size}).encode()


@asynccontextmanager
async def _asking(answer: Answer) -> AsyncIterator[tuple[SequenceManager, Server]]:
    async with serving(answer) as server:
        manager = SequenceManager(server.uri, cache_s=5, clock=lambda: 0.0)
        try:
            yield manager, server
        finally:
            await manager.close()


def _answers(raw: bytes) -> Answer:
    async def answer(_: Taken, writer: asyncio.StreamWriter) -> None:
        writer.write(response(200, raw))

    return answer


async def test_the_answer_is_kept_as_it_came() -> None:
    raw = EXAMPLE.read_bytes()
    async with _asking(_answers(raw)) as (manager, server):
        sequences = await asyncio.gather(
            *(manager.retrieve_sequence(one) for one in (ID, ID.upper(), ID))
        )
        assert sequences == [Sequence(ID, raw)] * 3
        assert [one.target for one in server.taken] == [f"/api/v1/mri/sequences/{ID}"]
        assert "gzip" not in server.taken[0].headers["accept-encoding"]


async def test_ten_megabytes_pass() -> None:
    raw = _raw(10_000_000)
    async with _asking(_answers(raw)) as (manager, _):
        assert (await manager.retrieve_sequence(ID)).json == raw


async def test_seventeen_megabytes_are_refused_with_their_size() -> None:
    raw = _raw(17_000_000)
    async with _asking(_answers(raw)) as (manager, _):
        with pytest.raises(PermanentError, match=f"{len(raw)} bytes") as caught:
            await manager.retrieve_sequence(ID)
        assert str(SEQUENCE_MOST) in str(caught.value)


async def test_an_answer_without_a_size_and_without_an_end_is_refused() -> None:
    written = 0

    async def endless(_: Taken, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
            written += 0x100000
            await writer.drain()

    async with _asking(endless) as (manager, _):
        with pytest.raises(PermanentError, match="larger"):
            await manager.retrieve_sequence(ID)
    assert written < 2 * SEQUENCE_MOST, "stops reading at the bound"


@pytest.mark.parametrize("sequence_id", ["", "abc", ID + "0", ID[:-1] + "g", f"{ID}\n", "../" * 8])
async def test_an_id_of_another_shape_is_not_asked_for(sequence_id: str) -> None:
    async with _asking(_answers(_raw())) as (manager, server):
        with pytest.raises(PermanentError, match="24 hex digits"):
            await manager.retrieve_sequence(sequence_id)
        assert server.taken == []


async def test_another_sequence_than_asked_is_refused() -> None:
    async with _asking(_answers(_raw())) as (manager, _):
        with pytest.raises(TransientError, match="another sequence"):
            await manager.retrieve_sequence("0" * 24)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"_id": "%s", "name": "n", "file": 1}' % ID.encode(),
        b'{"_id": "%s", "name": "n", "file": "f", "x": NaN}' % ID.encode(),
        b'{"_id": "%s", "name": "n", "file": "\xff"}' % ID.encode(),
        b'{"_id": "%s", "name": "n", "file": "\\ud800"}' % ID.encode(),
        b'{"_id": "%s", "name": "n", "file": "f"} {}' % ID.encode(),
        b"[" * 200_000,
    ],
)
async def test_only_one_whole_json_object_is_taken(raw: bytes) -> None:
    """The bytes are spliced into a DeviceTask: anything else would break that for the device."""
    async with _asking(_answers(raw)) as (manager, _):
        with pytest.raises(TransientError, match=r"not JSON|wrong shape"):
            await manager.retrieve_sequence(ID)


async def test_an_answer_that_breaks_off_is_none() -> None:
    raw = _raw(100)
    async with _asking(sends(response(200, raw[:-20], length=len(raw)))) as (manager, server):
        with pytest.raises(TransientError, match="broke the connection off"):
            await manager.retrieve_sequence(ID)
        assert len(server.taken) == 2, "a GET is asked once more"


async def test_an_unknown_sequence_is_final_and_a_sick_manager_is_not() -> None:
    async with _asking(says(404, {"detail": "x"})) as (manager, _):
        with pytest.raises(PermanentError, match=r"knows no such sequence \(404\)"):
            await manager.retrieve_sequence(ID)
    async with _asking(says(500, {"detail": "x"})) as (manager, server):
        with pytest.raises(TransientError, match=r"failed \(500\)"):
            await manager.retrieve_sequence(ID)
        assert len(server.taken) == 1, "it answered: a repeat is for later"


async def test_the_probe_looks_at_the_database_too() -> None:
    async def sick(taken: Taken, writer: asyncio.StreamWriter) -> None:
        writer.write(response(503 if taken.target == "/health" else 200, b"{}"))

    async with _asking(sick) as (manager, server):
        assert not await manager.probe()
        assert [one.target for one in server.taken] == ["/readiness", "/health"]
    async with _asking(says(404, {})) as (manager, _):
        assert await manager.probe(), "behind the gateway there is neither"
