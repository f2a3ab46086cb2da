"""What a device is told to do: both bodies that exist, read strictly by their contract.

Contract: device.openapi.json. A DeviceTask carries the sequence as an object or as JSON text; a
ScanRequest (2023) carries it as JSON text only.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError

from models.base import canonical, parse_json_text
from models.scan import Command, DeviceTask, ScanRequest
from sandbox.managers.answers import RefusedError, not_valid, unprocessable

Dialect = Literal["task-object", "task-text", "request"]

DEFAULT_MATRIX: Final = (128, 128)
SMALLEST, LARGEST = 16, 1024
"""Rows or columns that this scanner can measure; what lies outside is brought to the bound."""

_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as the scanner needs it; the patient's data stay behind."""

    record_id: int | str
    command: Command
    dialect: Dialect
    matrix: tuple[int, int]
    device_id: str | None = None

    @property
    def record(self) -> str:
        """The record's one text."""
        return canonical(self.record_id)


def read_order(body: bytes) -> Order:
    """Read a body; RefusedError with 422 when it is neither of the two."""
    try:
        fields = _OBJECT.validate_json(body)
        if "parametrized_sequence" in fields or "command" in fields:
            return _from_task(fields)
        return _from_request(fields)
    except ValidationError as error:
        raise RefusedError(unprocessable(error)) from None


def matrix_of(sequence_file: str) -> tuple[int, int]:
    """Give rows and columns from the `Matrix` of a Pulseq file's [DEFINITIONS].

    `Matrix 64 96` or, square, `Matrix 96`; without a usable one 128 x 128.
    """
    section = ""
    for line in sequence_file.splitlines():
        words = line.split()
        if line.strip().startswith("["):
            section = line.strip()
        elif section == "[DEFINITIONS]" and words[:1] == ["Matrix"]:
            sizes = [int(word) for word in words[1:3] if re.fullmatch(r"[0-9]{1,9}", word)]
            if len(sizes) == len(words[1:3]) and sizes:
                rows, columns = sizes[0], sizes[-1]
                return _bounded(rows), _bounded(columns)
    return DEFAULT_MATRIX


def _bounded(size: int) -> int:
    return min(max(size, SMALLEST), LARGEST)


def _from_task(fields: dict[str, Any]) -> Order:
    task = DeviceTask.model_validate(fields)
    parts = task.parametrized_sequence
    for name in ("acquisition_limits", "sequence_parameters"):
        if getattr(parts, name) is None:  # our model lets it pass, the contract does not
            raise RefusedError(not_valid("is required", "body", "parametrized_sequence", name))
    as_text = isinstance(fields["parametrized_sequence"]["sequence"], str)
    return Order(
        record_id=task.record_id,
        command=task.command,
        dialect="task-text" if as_text else "task-object",
        matrix=_matrix(parts.sequence),
        device_id=task.device_id,
    )


def _from_request(fields: dict[str, Any]) -> Order:
    request = ScanRequest.model_validate(fields)
    try:
        sequence = _OBJECT.validate_python(parse_json_text(request.sequence))
    except ValueError:
        raise RefusedError(not_valid("is not a JSON object as text", "body", "sequence")) from None
    return Order(
        record_id=request.record_id,
        command=Command.START,
        dialect="request",
        matrix=_matrix(sequence),
    )


def _matrix(sequence: dict[str, Any]) -> tuple[int, int]:
    text = sequence.get("file")
    return matrix_of(text) if isinstance(text, str) else DEFAULT_MATRIX
