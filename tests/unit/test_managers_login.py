"""Managers with tokens: who logs in, who gets the token, and where it must never be seen."""

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from managers import Address, Managers, open_managers
from managers.client import Question
from models.errors import PermanentError, TransientError
from models.managers import login_form
from tests.unit.test_managers_servers import (
    Answer,
    Server,
    Taken,
    drops,
    is_silent,
    response,
    says,
    serving,
)

PASSWORD = "Kennwort für Erika +&="
TOKEN = "aa1f19b5" * 64
RECORD = {"id": 42, "data_path": None, "comment": None, "datetime_created": ""}
LOGIN = {"username": "operator", "role": "medical", "token_type": "bearer"}


class LoginHouse:
    """A login manager and another manager, on one server, as strict or as odd as a test wants."""

    def __init__(self, password: str = PASSWORD) -> None:
        self.password = password
        self.logins = 0
        self.valid = ""
        self.refuses_all = False
        self.login_answer: Answer | None = None
        self.answer: Answer = says(200, RECORD)

    async def __call__(self, taken: Taken, writer: asyncio.StreamWriter) -> None:
        if taken.target != "/api/v1/userlogin/login":
            given = taken.headers.get("authorization")
            if self.refuses_all or given != f"Bearer {self.valid}":
                writer.write(response(401, b'{"detail": "Invalid token."}'))
            else:
                await self.answer(taken, writer)
            return
        self.logins += 1
        form = {name: values[0] for name, values in parse_qs(taken.body.decode()).items()}
        if self.login_answer is not None:
            await self.login_answer(taken, writer)
        elif form == {"grant_type": "password", "username": "erika", "password": self.password}:
            self.valid = f"{TOKEN}{self.logins}"
            writer.write(response(200, json.dumps(LOGIN | {"access_token": self.valid}).encode()))
        else:
            writer.write(response(401, b'{"detail": "Invalid authentication credentials"}'))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def asking(
    house: LoginHouse, folder: Path, *, clock: Clock | None = None, timeout_s: float = 2
) -> AsyncIterator[tuple[Managers, Server]]:
    file = folder / "password"
    if not file.exists():
        file.write_text(PASSWORD + "\n")
    async with serving(house) as server:
        managers = open_managers(
            device_uri=server.uri,
            sequence_uri=server.uri,
            exam_uri=server.uri,
            login_uri=server.uri,
            user="erika",
            password_file=file,
            timeout_s=timeout_s,
            clock=clock or Clock(),
        )
        try:
            yield managers, server
        finally:
            await managers.close()


def asked(server: Server) -> list[tuple[str, bool]]:
    """Give the methods of all requests, and whether they carried a token; L is a login."""
    return [
        ("L" if one.target.endswith("/login") else one.method, "authorization" in one.headers)
        for one in server.taken
    ]


async def test_all_clients_share_one_token(tmp_path: Path) -> None:
    house = LoginHouse()
    house.answer = says(200, RECORD | {"ip_address": "10.0.0.1", "_id": "a" * 24} | {"file": ""})
    async with asking(house, tmp_path) as (managers, server):
        await managers.exams.get_record(42)
        await managers.devices.device_location_request("mri-1")
        with pytest.raises(TransientError, match="wrong shape"):
            await managers.sequences.retrieve_sequence("a" * 24)
    assert asked(server) == [("L", False), ("GET", True), ("GET", True), ("GET", True)]
    form = server.taken[0]
    assert form.headers["content-type"] == "application/x-www-form-urlencoded"
    assert PASSWORD not in form.target


async def test_a_storm_of_401_makes_one_login(tmp_path: Path) -> None:
    house = LoginHouse()
    async with asking(house, tmp_path, timeout_s=5) as (managers, server):
        await managers.exams.get_record(42)
        house.valid = "ended"
        questions = [managers.exams.get_record(42) for _ in range(30)]
        questions += [managers.exams.create_record(1, "c") for _ in range(30)]
        records = await asyncio.gather(*questions)
    assert [record.id for record in records] == [42] * 60
    assert house.logins == 2
    storm = asked(server)[2:]
    assert storm.count(("POST", True)) == 60, "each was refused once and asked once more"


async def test_a_refused_post_is_repeated_and_a_lost_one_is_not(tmp_path: Path) -> None:
    house = LoginHouse()
    async with asking(house, tmp_path) as (managers, server):
        house.valid = "x"
        assert (await managers.exams.create_record(1, "c")).id == 42
        house.valid, house.answer = "ended", drops
        with pytest.raises(TransientError, match="broke the connection off") as caught:
            await managers.exams.create_record(1, "c")
    assert caught.value.sent
    assert [method for method, _ in asked(server)] == ["L", "POST", "POST", "L", "POST"]


async def test_a_fresh_token_that_is_refused_is_final_and_logins_do_not_hammer(
    tmp_path: Path,
) -> None:
    house = LoginHouse()
    house.refuses_all = True
    async with asking(house, tmp_path) as (managers, server):
        for _ in range(10):
            with pytest.raises(TransientError) as caught:
                await managers.exams.create_record(1, "c")
            assert caught.value.status == 401
    assert [m for m, _ in asked(server)][:4] == ["L", "POST", "L", "POST"]
    assert house.logins == 2


async def test_neither_devices_nor_other_hosts_get_the_token(tmp_path: Path) -> None:
    house = LoginHouse()
    async with serving(says(200)) as other:
        house.answer = says(307, more=f"location: {other.uri}/\r\n")
        async with asking(house, tmp_path) as (managers, _):
            with pytest.raises(PermanentError, match="redirects"):
                await managers.exams.get_record(42)
            device = Address("127.0.0.1", other.port)
            await managers.scanner.post_device_task(device, b"{}", headers={})
    (taken,) = other.taken
    assert taken.method == "POST"
    assert "authorization" not in taken.headers


async def test_a_probe_carries_a_token_and_logs_nobody_in(tmp_path: Path) -> None:
    house = LoginHouse()
    async with asking(house, tmp_path) as (managers, server):
        assert await managers.exams.probe()
        await managers.exams.get_record(42)
        assert await managers.exams.probe()
    assert asked(server) == [("GET", False), ("L", False), ("GET", True), ("GET", True)]


@pytest.mark.parametrize("missing", ["login_uri", "user", "password_file"])
async def test_without_all_three_settings_no_token_is_used(tmp_path: Path, missing: str) -> None:
    async with serving(says(200, RECORD)) as server:
        given: dict[str, Any] = {
            "login_uri": server.uri,
            "user": "erika",
            "password_file": tmp_path / "password",
        }
        del given[missing]
        managers = open_managers(device_uri="", sequence_uri="", exam_uri=server.uri, **given)
        await managers.exams.get_record(42)
        await managers.close()
        assert managers.login is None
    assert asked(server) == [("GET", False)]


async def test_secrets_are_in_no_log_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    house, clock, told = LoginHouse(), Clock(), []
    (tmp_path / "password").write_text(PASSWORD)
    async with asking(house, tmp_path, clock=clock, timeout_s=0.5) as (managers, _):
        for answer in (says(500), says(404), says(307), drops, is_silent, says(200, [TOKEN])):
            house.answer = answer
            with pytest.raises((TransientError, PermanentError)) as caught:
                await managers.exams.get_record(42)
            told += traceback.format_exception(caught.value)
            told.append(repr(vars(caught.value)))
        house.answer = says(200, RECORD)
        for login in (drops, says(401), says(200, LOGIN | {"access_token": TOKEN + "\n"})):
            house.valid, house.login_answer = "ended", login
            clock.now += 1000
            with pytest.raises(TransientError) as caught:
                await managers.exams.get_record(42)
            told += traceback.format_exception(caught.value)
        told += [repr(managers), repr(managers.login), str(vars(managers.exams))]
        form = login_form("erika", PASSWORD.encode())
        told.append(repr(Question(method="POST", path="/", asked="", body=form)))
    told += [str(vars(record)) for record in caplog.records]
    assert house.logins == 4
    everything = "".join(told)
    assert "refuses the user" in everything
    for needle in (TOKEN[:16], PASSWORD[:8], "Kennwort"):
        assert needle not in everything
