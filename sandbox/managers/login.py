"""Login manager: users, and the tokens that all managers ask for when they are switched on.

Contract: user-login-manager.openapi.json, but for making and listing users. Tokens are in memory:
after a restart nobody's is valid, which the real service's database would remember.
"""

import time
from collections.abc import Callable, Mapping
from secrets import compare_digest, token_hex
from typing import Any, Final
from urllib.parse import parse_qs

from sandbox.managers.answers import Answer, RefusedError, as_json, detail, not_valid
from sandbox.managers.router import Call, Route

USER: Final = "operator"
PASSWORD: Final = "sandbox password"  # noqa: S105 - of a simulated user
IDLE_S: Final = 3600.0
"""A token ends so long after its last use."""

WRONG_PASSWORD: Final = detail(
    401, "Invalid authentication credentials", {"WWW-Authenticate": "Bearer"}
)
NO_TOKEN: Final = detail(401, "Not authenticated")
BAD_TOKEN: Final = detail(401, "Invalid token.", {"WWW-Authenticate": "Bearer"})


class Tokens:
    """One token for each user, as long as it is used."""

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        idle_s: float = IDLE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._idle_s = idle_s
        self._clock = clock
        self._tokens: dict[str, tuple[str, float]] = {}
        """User by token, and when it was used last."""

    def log_in(self, user: str, password: str) -> str | None:
        """Give a token, the same one while it is alive; None for a wrong user or password."""
        wanted = self._users.get(user)
        if wanted is None or not compare_digest(wanted.encode(), password.encode()):
            return None
        alive = (token for token in list(self._tokens) if self._tokens[token][0] == user)
        for token in alive:
            if self.use(token) is not None:
                return token
        token = token_hex(256)
        self._tokens[token] = (user, self._clock())
        return token

    def use(self, token: str) -> str | None:
        """Give a token's user, and renew it; None for one that is unknown or was idle too long."""
        user, used = self._tokens.get(token, (None, 0.0))
        if user is None or self._clock() - used > self._idle_s:
            self._tokens.pop(token, None)
            return None
        self._tokens[token] = (user, self._clock())
        return user

    def end(self, token: str) -> None:
        """End a token, for every client of its user."""
        self._tokens.pop(token, None)

    def end_all(self) -> None:
        """End all tokens, as an idle hour does."""
        self._tokens.clear()

    def authorise(self, call: Call) -> Answer | None:
        """Refuse a call without a valid token."""
        token = sent_token(call)
        if token is None:
            return NO_TOKEN
        return BAD_TOKEN if self.use(token) is None else None


def sent_token(call: Call) -> str | None:
    """Give the bearer token of a call."""
    kind, _, token = call.headers.get("Authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else None


class Login:
    """The service itself."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def routes(self) -> list[Route]:
        """Give the operations."""
        base = "/api/v1/userlogin"
        return [
            Route("GET", f"{base}/health/readiness", self.ready, is_open=True),
            Route("POST", f"{base}/login", self.log_in, is_open=True),
            Route("GET", f"{base}/getcurrentuser", self.current),
            Route("POST", f"{base}/logout", self.log_out),
        ]

    def ready(self, _call: Call) -> Answer:
        """Say that the table exists."""
        return as_json({"status": "ok"})

    def log_in(self, call: Call) -> Answer:
        """Give a token."""
        form = parse_qs(call.body.decode(errors="replace"), keep_blank_values=True)
        user, password = (_field(form, name) for name in ("username", "password"))
        if form.get("grant_type", ["password"]) != ["password"]:
            raise RefusedError(not_valid("string does not match regex", "body", "grant_type"))
        token = self._tokens.log_in(user, password)
        if token is None:
            return WRONG_PASSWORD
        return as_json(_user_out(user) | {"access_token": token, "token_type": "bearer"})

    def current(self, call: Call) -> Answer:
        """Give the token's user, without the token."""
        return as_json(_user_out(self._tokens.use(sent_token(call) or "") or ""))

    def log_out(self, call: Call) -> Answer:
        """End the token."""
        self._tokens.end(sent_token(call) or "")
        return as_json(None)


def _field(form: Mapping[str, list[str]], name: str) -> str:
    if not form.get(name):
        raise RefusedError(not_valid("field required", "body", name))
    return form[name][0]


def _user_out(user: str) -> dict[str, Any]:
    return {
        "username": user,
        "first_name": "Simulated",
        "last_name": "User",
        "email": None,
        "role": "medical",
        "access_token": "",
        "token_type": "",
        "last_activity_unixtime": None,
    }
