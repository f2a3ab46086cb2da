"""Whether the managers answer, and which of its eras the exam manager is of.

Only GET requests that change nothing (and a login, where one is set); what records hold is neither
kept nor shown.
"""

import asyncio
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httpx

from commands.check import Check, good, unsure, wrong
from commands.check_login import log_in
from settings import RecordsDialect, Settings

ANSWER_S: Final = 3.0
MOST_BYTES: Final = 65_536
_LIST: Final = "/api/v1/exam/record/all"
_NO_INTEGER: Final = "00000000-0000-0000-0000-000000000000"
_NO_SUCH_SHAPE: Final = frozenset(
    {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INTERNAL_SERVER_ERROR}
)
NO_ROUTE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """A manager and how it is asked for its health (contracts: *.openapi.json)."""

    name: str
    setting: str
    uri: str
    health: tuple[str, ...]


async def check_managers(settings: Settings) -> list[Check]:
    """Look at each manager, side by side."""
    exam = Manager(
        name="exam manager",
        setting="EXAM_MANAGER_URI",
        uri=settings.exam_manager_uri,
        health=("/api/v1/exam/health/readiness",),
    )
    device = Manager(
        name="device manager",
        setting="DEVICE_MANAGER_URI",
        uri=settings.device_manager_uri,
        health=("/api/v1/device/health/readiness",),
    )
    sequence = Manager(
        name="sequence manager",
        setting="SEQUENCE_MANAGER_URI",
        uri=settings.sequence_manager_uri,
        health=("/readiness", "/health"),
    )
    login = Manager(
        name="login manager",
        setting="LOGIN_MANAGER_URI",
        uri=settings.login_manager_uri,
        health=("/api/v1/userlogin/health/readiness",),
    )
    managers = [exam, device, sequence, *([login] if login.uri else [])]
    try:
        roots = ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True
    except OSError:
        return [wrong("managers", "SCANHUB_CA_FILE can't be read, or holds no certificate")]
    # No proxy and no .netrc of the environment: a worker uses none either.
    async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_S, verify=roots) as client:
        login_check, token = await log_in(client, settings, MOST_BYTES)
        if token is not None:
            client.headers["authorization"] = f"Bearer {token}"
        heard = await asyncio.gather(*(_health(client, manager) for manager in managers))
        era = await _era(client, exam.uri)
    checks = [
        judge_health(manager, statuses, tokens=bool(login.uri), sent=token is not None)
        for manager, statuses in zip(managers, heard, strict=True)
    ]
    if not login.uri:
        checks.append(good(login.name, "not set, so no token is sent"))
    if login_check is not None:
        checks.append(login_check)
    if checks[0].right:
        checks.insert(1, judge_era(era, settings.records))
    return checks


async def _health(client: httpx.AsyncClient, manager: Manager) -> list[int | None]:
    if not manager.uri:
        return []
    return [await _status(client, manager.uri + path) for path in manager.health]


async def _era(client: httpx.AsyncClient, uri: str) -> RecordsDialect | None:
    integer = await _status(client, f"{uri}{_LIST}/0")
    return era_of(integer, await _status(client, f"{uri}{_LIST}/{_NO_INTEGER}"))


async def _status(client: httpx.AsyncClient, url: str) -> int | None:
    """Give an answer's status, its body unread; None if there was no answer in time."""
    try:
        async with asyncio.timeout(ANSWER_S), client.stream("GET", url) as response:
            return response.status_code
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL):
        return None


def judge_health(
    manager: Manager, statuses: list[int | None], *, tokens: bool, sent: bool = False
) -> Check:
    """Say what the answers to a manager's health probes mean.

    `tokens`: a login manager is set; `sent`: the probes carried a token.
    """
    name, where = manager.name, f"{manager.uri} ({manager.setting})"
    if not manager.uri:
        return wrong(name, f"not set: jobs wait until {manager.setting} is")
    if None in statuses:
        return wrong(name, f"no answer from {where} within {ANSWER_S:g} s")
    bad = sorted({status for status in statuses if status is not None and status != HTTPStatus.OK})
    if not bad:
        return good(name, f"answers at {where}")
    if set(bad) <= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        if sent:
            return wrong(name, f"{where} refuses the token that the login manager gave")
        say, rest = (good, "") if tokens else (wrong, ": LOGIN_MANAGER_URI is needed")
        return say(name, f"{where} asks for a token{rest}")
    ill = bad[-1] >= HTTPStatus.INTERNAL_SERVER_ERROR
    rest = "it is not well" if ill else "is it the right address?"
    return wrong(name, f"{where} answers HTTP {bad[-1]} to a health probe: {rest}")


def era_of(integer: int | None, uuid: int | None) -> RecordsDialect | None:
    """Tell an exam manager's era from its answers to the lists of an integer and of a UUID job.

    Each era refuses the other's ids by their shape: the integer era with 422, the other with 500.
    Where there are no records (POST answers 405 there, and is not tried: elsewhere it makes one)
    there is no such path. None if the answers do not tell.
    """
    if integer in NO_ROUTE and uuid in NO_ROUTE:
        return RecordsDialect.TASK
    if (integer, uuid) == (HTTPStatus.OK, HTTPStatus.UNPROCESSABLE_ENTITY):
        return RecordsDialect.INTEGER
    if integer in _NO_SUCH_SHAPE and uuid == HTTPStatus.OK:
        return RecordsDialect.UUID
    return None


def judge_era(found: RecordsDialect | None, asked: RecordsDialect) -> Check:
    """Compare the exam manager's era with the setting."""
    what = "records"
    kinds = {
        RecordsDialect.INTEGER: "records with integer ids",
        RecordsDialect.UUID: "records with UUIDs",
        RecordsDialect.TASK: "no records",
    }
    if found is None:
        return unsure(what, f"the exam manager's era can't be told; SCANHUB_RECORDS={asked} is set")
    if found is asked:
        return good(what, f"the exam manager keeps {kinds[found]}, as SCANHUB_RECORDS={asked} says")
    return wrong(what, f"the exam manager keeps {kinds[found]}: set SCANHUB_RECORDS={found}")
