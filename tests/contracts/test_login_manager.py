import json

import pytest

from sandbox.managers.login import PASSWORD, USER, Tokens
from tests.contracts.conftest import Client, Managers, Reply
from tests.contracts.openapi import contract, example

LOGIN = "/api/v1/userlogin/login"
CURRENT = "/api/v1/userlogin/getcurrentuser"
LOGOUT = "/api/v1/userlogin/logout"
GOOD = {"grant_type": "password", "username": USER, "password": PASSWORD}


async def log_in(client: Client, **changes: str) -> Reply:
    return await client.checked("login", "POST", LOGIN, form=GOOD | changes)


def test_the_example_is_the_contracts() -> None:
    contract("user-login-manager").validate_as("User", example("login-response"))


async def test_a_user_gets_a_token(managers: Managers) -> None:
    client = await managers()
    user = json.loads((await log_in(client)).body)
    assert set(user) == set(example("login-response"))
    assert (len(user["access_token"]), user["token_type"]) == (512, "bearer")
    again = json.loads((await log_in(client)).body)
    assert again["access_token"] == user["access_token"], "one for each user while it is alive"


@pytest.mark.parametrize(
    "changes", [{"password": "x"}, {"username": "x"}, {"password": ""}, {"password": "Größe"}]
)
async def test_a_wrong_password_is_401(managers: Managers, changes: dict[str, str]) -> None:
    reply = await log_in(await managers(), **changes)
    assert reply.status == 401
    assert json.loads(reply.body) == {"detail": "Invalid authentication credentials"}
    assert reply.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("form", [{}, {"username": USER}, GOOD | {"grant_type": "other"}])
async def test_a_form_that_does_not_validate_is_422(
    managers: Managers, form: dict[str, str]
) -> None:
    client = await managers()
    assert (await client.checked("login", "POST", LOGIN, form=form)).status == 422


async def test_a_token_is_checked_and_ended(managers: Managers) -> None:
    client = await managers()
    missing = await client.checked("login", "GET", CURRENT)
    assert (missing.status, json.loads(missing.body)) == (401, example("error-401-no-token"))
    token = json.loads((await log_in(client)).body)["access_token"]
    client.headers = {"Authorization": f"Bearer {token}"}
    user = json.loads((await client.checked("login", "GET", CURRENT)).body)
    assert (user["username"], user["access_token"], user["token_type"]) == (USER, "", "")
    assert (await client.checked("login", "POST", LOGOUT)).body == b"null"
    ended = await client.checked("login", "GET", CURRENT)
    assert (ended.status, json.loads(ended.body)) == (401, example("error-401-bad-token"))
    assert ended.headers["WWW-Authenticate"] == "Bearer"
    assert (await client.checked("login", "POST", LOGOUT)).status == 401


async def test_readiness_asks_for_no_token(managers: Managers) -> None:
    client = await managers(tokens=True)
    assert (
        await client.checked("login", "GET", "/api/v1/userlogin/health/readiness")
    ).status == 200


def test_a_token_ends_an_hour_after_its_last_use() -> None:
    now = 0.0
    tokens = Tokens({"a": "b"}, idle_s=3600, clock=lambda: now)
    token = tokens.log_in("a", "b")
    assert token is not None
    for _ in range(3):
        now += 3600
        assert tokens.use(token) == "a"
    now += 3601
    assert tokens.use(token) is None
    assert tokens.log_in("a", "b") != token
