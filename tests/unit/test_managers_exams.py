import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from managers import ExamManager
from managers.exams import LIST_MOST
from models.errors import PermanentError, TransientError
from models.managers import Record
from tests.unit.test_managers_servers import (
    Answer,
    Server,
    drops,
    free_port,
    is_silent,
    response,
    says,
    sends,
    serving,
)

EXAMPLES = Path(__file__).parents[1] / "contracts" / "examples"
UUID = "01878b5e-d925-4068-8d2f-28c3872e8fa6"


def _example(name: str) -> object:
    content: object = json.loads((EXAMPLES / name).read_text())
    return content


RECORD = _example("record-out.json")


@asynccontextmanager
async def _asking(
    answer: Answer, timeout_s: float = 2
) -> AsyncIterator[tuple[ExamManager, Server]]:
    async with serving(answer) as server:
        manager = ExamManager(server.uri, timeout_s=timeout_s)
        try:
            yield manager, server
        finally:
            await manager.close()


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    ("job_id", "request_name", "answer_name"),
    [
        (17, "record-create-request.json", "record-out.json"),
        (
            "6a3b7ebb-ae8c-4bce-be04-7d0c14a44158",
            "record-create-request-uuid.json",
            "record-out-uuid.json",
        ),
    ],
)
async def test_a_record_is_made_as_the_contract_has_it(
    status: int, job_id: int | str, request_name: str, answer_name: str
) -> None:
    answer = _example(answer_name)
    async with _asking(says(status, answer)) as (manager, server):
        record = await manager.create_record(job_id, "Created in Acquisition Control")
    assert record == Record.model_validate(answer)
    taken = server.taken[0]
    assert (taken.method, taken.target) == ("POST", "/api/v1/exam/record")
    assert taken.headers["content-type"] == "application/json"
    assert json.loads(taken.body) == _example(request_name)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(drops, None, id="dropped"),
        pytest.param(is_silent, None, id="silent"),
        pytest.param(sends(response(201, b"{", length=9)), None, id="half an answer"),
        pytest.param(says(500), 500, id="500"),
        pytest.param(says(503), 503, id="503"),
        pytest.param(says(429), 429, id="429"),
        pytest.param(says(401), 401, id="401"),
        pytest.param(says(202), 202, id="202"),
        pytest.param(says(201, {"id": None}), None, id="wrong shape"),
        pytest.param(says(201), None, id="no JSON"),
    ],
)
async def test_a_record_may_have_been_made_and_is_never_asked_for_twice(
    answer: Answer, status: int | None
) -> None:
    async with _asking(answer, timeout_s=0.3) as (manager, server):
        with pytest.raises(TransientError) as caught:
            await manager.create_record(1, "c")
    assert caught.value.sent
    assert caught.value.status == status
    assert len(server.taken) == 1


async def test_a_record_was_not_made_where_nobody_listens() -> None:
    manager = ExamManager(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransientError, match="cannot be reached") as caught:
        await manager.create_record(1, "c")
    assert not caught.value.sent
    await manager.close()


async def test_a_manager_of_a_later_era_keeps_no_records() -> None:
    async with _asking(says(405, _example("error-405-record.json"))) as (manager, _):
        with pytest.raises(PermanentError) as caught:
            await manager.create_record(1, "c")
    assert "SCANHUB_RECORDS=task" in str(caught.value)
    assert caught.value.status == 405


async def test_records_of_a_job_are_listed() -> None:
    async with _asking(says(200, _example("record-list.json"))) as (manager, server):
        assert await manager.list_records(17) == [Record.model_validate(RECORD)]
    assert server.taken[0].target == "/api/v1/exam/record/all/17"


async def test_a_list_of_thousands_passes_and_an_endless_one_does_not() -> None:
    async with _asking(says(200, [RECORD] * 10_000)) as (manager, _):
        assert len(await manager.list_records(1)) == 10_000
    async with _asking(sends(response(200, b"[" + b" " * LIST_MOST + b"]"))) as (manager, _):
        with pytest.raises(TransientError, match=f"more than {LIST_MOST} bytes"):
            await manager.list_records(1)


async def test_a_list_that_answers_500_is_no_empty_list() -> None:
    async with _asking(says(500)) as (manager, _):
        with pytest.raises(TransientError):
            await manager.list_records(1)


async def test_a_record_is_given() -> None:
    async with _asking(says(200, _example("record-out-uuid.json"))) as (manager, server):
        assert (await manager.get_record(UUID.upper())).id == UUID
    assert server.taken[0].target == f"/api/v1/exam/record/{UUID}"


@pytest.mark.parametrize(
    ("comment", "body"),
    [(None, {"data_path": "p"}), ("Created DICOM", {"data_path": "p", "comment": "Created DICOM"})],
)
async def test_an_update_sends_only_what_is_given(
    comment: str | None, body: dict[str, str]
) -> None:
    async with _asking(says(200, RECORD)) as (manager, server):
        await manager.update_record(42, data_path="p", comment=comment)
    taken = server.taken[0]
    assert (taken.method, taken.target) == ("PUT", "/api/v1/exam/record/42/")
    assert json.loads(taken.body) == body


async def test_a_record_is_deleted() -> None:
    async with _asking(says(204)) as (manager, server):
        await manager.delete_record(42)
    assert (server.taken[0].method, server.taken[0].target) == (
        "DELETE",
        "/api/v1/exam/record/42",
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda manager: manager.get_record(42),
        lambda manager: manager.update_record(42, data_path="p"),
        lambda manager: manager.delete_record(42),
    ],
)
async def test_an_unknown_record_is_final(call: Callable[[ExamManager], Awaitable[object]]) -> None:
    async with _asking(says(404, _example("error-404-record.json"))) as (manager, _):
        with pytest.raises(PermanentError, match=r"knows no such record \(404\)"):
            await call(manager)


async def test_only_a_get_is_repeated() -> None:
    async with _asking(drops) as (manager, server):
        with pytest.raises(TransientError):
            await manager.update_record(42, data_path="p")
        with pytest.raises(TransientError):
            await manager.delete_record(42)
        with pytest.raises(TransientError):
            await manager.get_record(42)
    assert [one.method for one in server.taken] == ["PUT", "DELETE", "GET", "GET"]


@pytest.mark.parametrize("record_id", ["", "../1", "1/2", "x"])
async def test_an_id_of_another_shape_is_not_asked_for(record_id: str) -> None:
    async with _asking(says(200, RECORD)) as (manager, server):
        with pytest.raises(PermanentError, match="record's id"):
            await manager.get_record(record_id)
        with pytest.raises(PermanentError, match="job's id"):
            await manager.list_records(record_id)
    assert server.taken == []
