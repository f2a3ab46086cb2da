"""Answers as the real services give them (FastAPI): bodies of errors, 422 and 500."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import ValidationError

JSON: Final = "application/json"
TEXT: Final = "text/plain"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: ready bytes, so that the log and a dropped connection cost nothing."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """Ends a handler early with an answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def as_json(value: Any, status: int = 200) -> Answer:
    """Answer with JSON."""
    return Answer(status, json.dumps(value, separators=(",", ":")).encode(), JSON)


def detail(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with the body of every error that an endpoint raises itself."""
    return replace(as_json({"detail": sentence}, status), headers=headers or {})


SERVER_ERROR: Final = Answer(500, b"Internal Server Error", TEXT)
"""An unhandled exception: plain text, not JSON."""
NO_CONTENT: Final = Answer(204)
NOT_FOUND: Final = detail(404, "Not Found")
NOT_ALLOWED: Final = detail(405, "Method Not Allowed")


def unprocessable(error: ValidationError, *place: str) -> Answer:
    """Answer 422: which fields are wrong; never with their values, which may be a patient's."""
    problems = error.errors(include_input=False, include_context=False, include_url=False)
    return as_json(
        {
            "detail": [
                {"loc": [*(place or ("body",)), *p["loc"]], "msg": p["msg"], "type": p["type"]}
                for p in problems
            ]
        },
        422,
    )


def not_valid(sentence: str, *place: str) -> Answer:
    """Answer 422 with one problem."""
    entry = {"loc": list(place or ("body",)), "msg": sentence, "type": "value_error"}
    return as_json({"detail": [entry]}, 422)
