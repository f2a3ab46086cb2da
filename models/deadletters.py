"""What people did with dead letters: the messages on `dead-letter-acts`."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from models.base import Message, Time

LetterId = Annotated[str, Field(pattern=r"^[0-9]{1,9}-[0-9]{1,18}$")]
"""PARTITION-OFFSET on the dead-letters topic: what people type."""


class ActKind(StrEnum):
    """What settles a dead letter."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"


class LetterAct(Message):
    """One dead letter is settled."""

    letter: LetterId
    written_ms: int
    """The letter's own time: a topic that was deleted and made again has other letters by old ids."""
    act: ActKind
    at: Time
    by: str | None = Field(default=None, max_length=128)
    attempts: int | None = Field(default=None, ge=1)
    """With REPLAYED: the number of the attempt that it was sent for."""
