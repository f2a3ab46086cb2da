"""A message as it came in: bytes, headers, place, and what follows from them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Generic, Self, TypeVar

from pydantic import ValidationError

from models import wire
from models.base import Message, explain
from models.errors import PoisonError
from models.wire import Cause

ModelT = TypeVar("ModelT", bound=Message)
ValueT = TypeVar("ValueT")
Headers = tuple[tuple[str, bytes | None], ...]


class lazy(Generic[ValueT]):  # noqa: N801 - as cached_property
    """As functools.cached_property of Python 3.12: without the lock that 3.11 takes for each reading."""

    def __init__(self, function: Callable[[Any], ValueT]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> ValueT:
        value = instance.__dict__[self._name] = self._function(instance)
        return value


@dataclass(frozen=True, kw_only=True)
class Inbound:
    """One Kafka message; `topic` is its logical name (models/wire.py)."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers = field(default=())

    @classmethod
    def of(cls, event: Any, topic: str) -> Self:
        """Take over a Faust event of a raw topic."""
        message = event.message
        return cls(
            topic=topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            value=message.value,
            timestamp_ms=round(message.timestamp * 1000),
            headers=tuple(message.headers or ()),
        )

    @lazy
    def header(self) -> dict[str, bytes]:
        """Headers as a map; of a repeated one the last counts, those without a value do not."""
        return {name: value for name, value in self.headers if value is not None}

    @property
    def here(self) -> str:
        """topic-partition-offset, where the message stands."""
        return f"{self.topic}-{self.partition}-{self.offset}"

    @lazy
    def rerouted(self) -> bool:
        """Whether an intake moved it here."""
        return wire.REROUTED_FROM in self.header

    @lazy
    def origin(self) -> str:
        """topic-partition-offset where the message first arrived."""
        moved = self.header.get(wire.REROUTED_FROM)
        return moved.decode("utf-8", "replace")[:400] if moved else self.here

    @lazy
    def body_sha256(self) -> str:
        """Hash of the value: the same bytes are the same job."""
        return sha256(self.value or b"").hexdigest()

    @lazy
    def mark(self) -> str:
        """Tell this message from all others; the same when it is delivered again, or was moved here.

        Its content counts as well: where it first arrived is a header, so the sender's word.
        """
        return wire.make_id(self.origin, f"mark/{self.topic}", self.body_sha256)

    @lazy
    def born_ms(self) -> int:
        """Broker time of its first arrival; a header can make a message older, never younger."""
        moved = self.header.get(wire.REROUTED_TIME)
        if moved and moved.isdigit() and len(moved) < 16:  # noqa: PLR2004 - milliseconds until 33658
            return min(int(moved), self.timestamp_ms)
        return self.timestamp_ms

    @lazy
    def request_id(self) -> str:
        """Give the idempotency key (interface: header, CloudEvents id, or made from the origin)."""
        return wire.identity_of(self.header, self.origin, self.born_ms)

    @property
    def trace(self) -> Headers:
        """The trace context, to be carried on."""
        return tuple(
            (name, self.header[name])
            for name in (wire.TRACEPARENT, wire.TRACESTATE)
            if name in self.header
        )

    def decode(self, model: type[ModelT]) -> ModelT:
        """Read the value.

        Raises PoisonError: undecodable if it is no JSON (or nothing), invalid if misshapen.
        """
        if self.value is None:
            raise PoisonError("the message has no value", Cause.UNDECODABLE)
        try:
            return model.from_bytes(self.value)
        except ValidationError as error:
            no_json = any(problem["type"] == "json_invalid" for problem in error.errors())
            raise PoisonError(
                "the value is not JSON" if no_json else f"not a {model.__name__}: {explain(error)}",
                Cause.UNDECODABLE if no_json else Cause.INVALID,
            ) from None
