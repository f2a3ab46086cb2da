"""Logins that go wrong: no job fails by one, and no account is locked."""

import asyncio
from pathlib import Path

import pytest

from managers import LoginManager
from managers.login import PASSWORD_MOST
from models.errors import TransientError
from tests.unit.test_managers_login import LOGIN, Clock, LoginHouse, asked, asking
from tests.unit.test_managers_servers import Answer, drops, free_port, is_silent, says


async def test_a_wrong_password_is_told_and_not_sent_again_and_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house, clock = LoginHouse(password="another"), Clock()
    async with asking(house, tmp_path, clock=clock) as (managers, server):
        for _ in range(15 * 60):
            with pytest.raises(TransientError, match=r"SCANHUB_PASSWORD_FILE") as caught:
                await managers.exams.create_record(1, "c")
            assert (caught.value.sent, caught.value.status) == (False, 401)
            clock.now += 1
        assert house.logins == 5, "30 s, 60 s, 2 min, 4 min, 8 min"
        assert len(caplog.records) == 5
        assert "refuses the user" in caplog.text

        (tmp_path / "password").write_text("another")
        clock.now += 10
        assert (await managers.exams.create_record(1, "c")).id == 42
    assert [m for m, _ in asked(server)] == ["L"] * 6 + ["POST"]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (says(403), "refuses the user"),
        (says(404), "refused"),
        (says(422), "refused"),
        (says(302, more="location: /x\r\n"), "redirects"),
        (says(500), "failed"),
        (says(200), "not JSON"),
        (says(200, LOGIN), "wrong shape"),
        (says(200, LOGIN | {"access_token": ""}), "no bearer token"),
        (says(200, LOGIN | {"access_token": "a\r\nx: y"}), "no bearer token"),
        (says(200, LOGIN | {"access_token": "a", "token_type": "mac"}), "no bearer token"),
        (drops, "broke the connection off"),
    ],
)
async def test_no_login_that_goes_wrong_fails_a_job(
    tmp_path: Path, answer: Answer, sentence: str
) -> None:
    house = LoginHouse()
    house.login_answer = answer
    async with asking(house, tmp_path) as (managers, server):
        with pytest.raises(TransientError, match=sentence) as caught:
            await managers.exams.get_record(42)
    assert not caught.value.sent, "the question itself was never asked"
    assert {method for method, _ in asked(server)} == {"L"}


async def test_a_silent_login_manager_takes_no_longer_than_an_attempt(tmp_path: Path) -> None:
    house = LoginHouse()
    house.login_answer = is_silent
    async with asking(house, tmp_path, timeout_s=0.2) as (managers, _):
        with pytest.raises(TransientError, match="login manager did not answer") as caught:
            await asyncio.wait_for(managers.exams.create_record(1, "c"), 5)
        assert not caught.value.sent
        assert _logins_under_way() == 1
    assert _logins_under_way() == 0, "it is stopped with the clients"


def _logins_under_way() -> int:
    coroutines = [task.get_coro() for task in asyncio.all_tasks() if not task.done()]
    return sum("Tokens._log_in" in getattr(one, "__qualname__", "") for one in coroutines)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"x" * (PASSWORD_MOST + 1)])
async def test_a_file_without_a_password_is_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    house = LoginHouse()
    async with asking(house, tmp_path) as (managers, _):
        with pytest.raises(TransientError, match="SCANHUB_PASSWORD_FILE"):
            await managers.exams.get_record(42)
    assert house.logins == 0


async def test_where_nobody_listens_the_login_was_not_sent(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p")
    login = LoginManager(
        f"http://127.0.0.1:{free_port()}",
        user="erika",
        password_file=tmp_path / "password",
        clock=Clock(),
    )
    assert not await login.probe()
    with pytest.raises(TransientError, match="login manager cannot be reached"):
        await login.log_in()
    await login.close()
