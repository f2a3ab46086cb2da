"""What all messages share: how they are read and written, and the types of their fields."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Self, cast
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)

MAX_RECORD_ID = 2**63 - 1
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Message(BaseModel):
    """Base of everything that travels: unknown fields are tolerated, instances never change."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
        # A row that was written can be read back, also that of a job refused for such a number.
        ser_json_inf_nan="constants",
    )

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Read JSON in UTF-8.

        Raises pydantic.ValidationError; give it to `explain` before it gets near a log.
        """
        return cast("Self", cls.__pydantic_validator__.validate_json(raw))

    def to_bytes(self) -> bytes:
        """Write JSON in UTF-8; fields that are None are left out, as the contracts do.

        By pydantic's core itself, as reading is: `model_dump_json` makes a text of these bytes first,
        and a scan job is read and written a dozen times on its way.
        """
        serializer = self.__pydantic_serializer__
        return serializer.to_json(self, by_alias=True, exclude_none=True)


def explain(error: ValidationError, most: int = 5) -> str:
    """Say which fields are wrong and how, without any input value (promise 8).

    Names of fields come from our models only: a key that the sender chose (a map's key may hold a
    name) is shown as `*`.
    """
    problems = error.errors(include_input=False, include_context=False, include_url=False)
    told = [f"{_place(p['loc'])}: {_how(p)}" for p in problems[:most]]
    more = len(problems) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")


def _how(problem: Any) -> str:
    # The text of a ValueError is our own, and never holds input; of other kinds the name is enough.
    if problem["type"] == "value_error":
        return str(problem["msg"]).removeprefix("Value error, ")
    return str(problem["type"])


def _place(loc: Sequence[int | str]) -> str:
    known, maps = _field_names()
    parts = []
    for before, part in zip(("", *loc), loc, strict=False):
        ours = isinstance(part, int) or (part in known and before not in maps)
        parts.append(str(part) if ours else "*")
    return ".".join(parts) or "value"


@cache
def _field_names() -> tuple[frozenset[str], frozenset[str]]:
    """Give the names of all fields of all messages, and of those that are maps: their keys are sent."""
    names: set[str] = set()
    maps: set[str] = set()
    models: list[type[Message]] = [Message]
    while models:
        model = models.pop()
        models += model.__subclasses__()
        for name, field in model.model_fields.items():
            names |= {name, field.alias or name}
            if "dict[" in str(field.annotation):
                maps.add(name)
            if isinstance(field.validation_alias, AliasChoices):
                names |= {str(choice) for choice in field.validation_alias.choices}
    return frozenset(names), frozenset(maps)


def _check_id(value: int | str) -> int | str:
    if isinstance(value, int):
        if not 0 <= value <= MAX_RECORD_ID:
            raise ValueError("an integer id is between 0 and 2^63-1")
    elif _DECIMAL.fullmatch(value):
        _check_id(int(value))
    elif not _UUID.fullmatch(value):
        raise ValueError("an id is an integer or a UUID")
    return value


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool | float):
        # ValueError, not TypeError: pydantic turns only the former into a ValidationError.
        raise ValueError("an id is an integer or a UUID")  # noqa: TRY004
    return value


RecordId = Annotated[int | str, BeforeValidator(_no_bool), AfterValidator(_check_id)]
"""Integer (the integer era; digits as text are taken too) or UUID text; kept as it came."""


def canonical(record_id: int | str) -> str:
    """Give the one text of an id: Kafka key, table key, folder name and test of equality.

    Decimal for integers, lower case with hyphens for UUIDs.
    """
    text = str(record_id)
    return text if _DECIMAL.fullmatch(text) else str(UUID(text))


def is_integer_id(record_id: int | str) -> bool:
    """Tell an id of the integer era from a UUID."""
    return _DECIMAL.fullmatch(str(record_id)) is not None


def is_uuid(text: str) -> bool:
    """Tell whether a text is a UUID with hyphens, in any case."""
    return _UUID.fullmatch(text) is not None


def rfc3339(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC, milliseconds, with `Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
"""A time; written as RFC 3339 UTC with `Z`."""

DeviceId = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,256}$")]
"""Chosen by the device, any string (contract device-manager.openapi.json) of one line."""

RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Location = Annotated[str, Field(min_length=1, max_length=1024)]
"""A path relative to the data lake; whether it stays inside is checked where it is opened."""
MediaType = Annotated[str, Field(pattern=r"^[A-Za-z0-9.+-]{1,64}/[A-Za-z0-9.+-]{1,64}$")]
FileSize = Annotated[int, Field(ge=0, le=2**50)]
"""Bytes."""
FreeText = Annotated[str, Field(max_length=500)]


def _measured(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("a measure is a number")  # noqa: TRY004 - see _no_bool
    return value


Measure = Annotated[float, BeforeValidator(_measured)]
"""A number that was measured; `true` and texts are none: nothing is converted (promise 10)."""
Count = Annotated[int, BeforeValidator(_measured)]


def parse_json_text(value: Any) -> Any:
    """Take an object that came as JSON text (the quirk of `sequence`) as the object."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ValueError("not JSON text") from error
    return value
