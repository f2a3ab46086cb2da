"""Paths to handlers, by the rules of the framework that the real services use (Starlette).

The first route with path and method wins; a path with another method is 405; a path that only
exists with (or without) a trailing slash is 307 to it; everything else is 404. Paths are compared
decoded, so an encoded slash separates segments.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from yarl import URL

from sandbox.managers.answers import NOT_ALLOWED, NOT_FOUND, Answer, RefusedError, unprocessable

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, whole; `params` are the path's."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)

    def read(self, model: type[Body]) -> Body:
        """Read the JSON body; 422 when it does not validate."""
        try:
            return model.model_validate_json(self.body)
        except ValidationError as error:
            raise RefusedError(unprocessable(error)) from None


Handler = Callable[[Call], Answer]
Guard = Callable[[Call], Answer | None]
"""Refuses a call with an answer, or gives None."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation; `path` holds names in braces, each standing for one segment."""

    method: str
    path: str
    handler: Handler
    is_open: bool = False
    """Whether no token is asked for, also where tokens are asked for."""


class Router:
    """Finds the handler of a call and runs it, unless `guard` refuses the call."""

    def __init__(self, routes: Sequence[Route], guard: Guard | None = None) -> None:
        self.routes = tuple(routes)
        self._guard = guard
        self._compiled = [(_pattern(route.path), route) for route in routes]

    def answer(self, call: Call) -> Answer:
        """Answer a call; never raises for what a client may send."""
        path = call.url.path
        path_exists = False
        for pattern, route in self._compiled:
            if (match := pattern.fullmatch(path)) is None:
                continue
            path_exists = True
            if route.method == call.method:
                refused = None if route.is_open or self._guard is None else self._guard(call)
                return refused or _run(route.handler, call, match.groupdict())
        if path_exists:
            return NOT_ALLOWED
        other = path[:-1] if path.endswith("/") else path + "/"
        if any(pattern.fullmatch(other) for pattern, _ in self._compiled):
            target = call.url.with_path(other).with_query(call.url.query)
            return Answer(307, headers={"Location": str(target)})
        return NOT_FOUND


def _run(handler: Handler, call: Call, params: dict[str, str]) -> Answer:
    try:
        return handler(replace(call, params=params))
    except RefusedError as refused:
        return refused.answer


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{([a-z_]+)\}", path)
    literal_and_name = (
        re.escape(part) if i % 2 == 0 else f"(?P<{part}>[^/]+)" for i, part in enumerate(parts)
    )
    return re.compile("".join(literal_and_name))
