"""Scan jobs as a person writes them: one object, an array of them, or one on each line."""

import json
from typing import Any

from pydantic import ValidationError

from commands.base import CommandError
from models.base import explain
from models.scan import ScanJob


def read_jobs(raw: bytes) -> list[ScanJob]:
    """Read scan jobs; none is given if one is wrong.

    Raises CommandError; its sentence names fields and places, never a value (promise 8).
    """
    items = _items(raw)
    if not items:
        raise CommandError("there is no scan job in the input")
    jobs, problems = [], []
    for number, item in enumerate(items, start=1):
        place = f"job {number}: " if len(items) > 1 else ""
        try:
            job = ScanJob.from_bytes(json.dumps(item).encode())
        except ValidationError as error:
            problems.append(f"{place}{explain(error)}")
            continue
        if (problem := job.problem()) is not None:
            problems.append(f"{place}{problem}")
        jobs.append(job)
    if problems:
        raise CommandError(f"not a scan job, nothing was sent: {'; '.join(problems)}")
    return jobs


def _items(raw: bytes) -> list[Any]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError("the input is not text in UTF-8") from None
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if len(lines) > 1 and error.msg == "Extra data":
            return [_line(number, line) for number, line in lines]
        where = f"line {error.lineno}, column {error.colno}"
        raise CommandError(f"the input is not JSON ({where}: {error.msg})") from None
    except (RecursionError, ValueError):
        raise CommandError("the input is not JSON that can be read") from None
    return whole if isinstance(whole, list) else [whole]


def _line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (RecursionError, ValueError):
        raise CommandError(f"line {number} of the input is not JSON") from None
