"""The sequence manager: MRI sequences (contract sequence-manager.openapi.json)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from managers.cache import Cache
from managers.client import Manager, OversizeError, Question
from managers.tokens import Tokens
from models.errors import PermanentError, TransientError
from models.managers import MRISequence

SEQUENCE_MOST: Final = 16 * 1024 * 1024
"""Bytes of the answer as it travels, escapes included: these bytes go into the DeviceTask, whose
topic takes 32 MiB."""

CACHE_BYTES: Final = 4 * SEQUENCE_MOST

_ASKED: Final = "for a sequence"
_SAYS: Final = {404: "knows no such sequence"}
_ID = re.compile(r"[0-9a-fA-F]{24}")
_ANSWER: Final = TypeAdapter(MRISequence)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence: `json` is the manager's whole answer, one complete JSON object in UTF-8.

    Kept as it came, to be spliced into a DeviceTask without being read and written again for each
    job (1.16 times the rate). Validated once, when it came.
    """

    id: str
    json: bytes = field(repr=False)


class SequenceManager(Manager):
    """Keeps MRI sequences."""

    name = "sequence manager"
    setting = "SEQUENCE_MANAGER_URI"
    # /health looks at its database too: 503 when that is away.
    health = ("/readiness", "/health")

    def __init__(
        self,
        uri: str,
        *,
        cache_s: float,
        clock: Callable[[], float],
        timeout_s: float = 5.0,
        ca_file: Path | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        super().__init__(uri, timeout_s=timeout_s, ca_file=ca_file, tokens=tokens)
        self._cache: Cache[str, Sequence] = Cache(
            ttl_s=cache_s, max_bytes=CACHE_BYTES, size=lambda kept: len(kept.json), clock=clock
        )

    def kept(self, sequence_id: str) -> Sequence | None:
        """Give a sequence that is kept, without asking anybody."""
        return self._cache.peek(sequence_id.lower())

    async def retrieve_sequence(self, sequence_id: str) -> Sequence:
        """Give a sequence; kept for `cache_s` seconds.

        Raises PermanentError for an unknown sequence, an id that is not 24 hex digits (nothing is
        asked: the manager answers 500 to it), a sequence above 16 MiB; TransientError.
        """
        if not _ID.fullmatch(sequence_id):
            raise PermanentError("the sequence's id is not 24 hex digits")
        wanted = sequence_id.lower()
        return await self._cache.get(wanted, lambda: self._load(wanted))

    async def _load(self, wanted: str) -> Sequence:
        question = Question(
            method="GET",
            path=f"/api/v1/mri/sequences/{wanted}",
            asked=_ASKED,
            most=SEQUENCE_MOST,
            says=_SAYS,
        )
        try:
            raw = await self._ask(question)
        except OversizeError as error:
            size = f"{error.size} bytes" if error.size is not None else "larger"
            raise PermanentError(
                f"the sequence is too large: {size}, at most {SEQUENCE_MOST} bytes are taken",
                status=error.status,
            ) from None
        answer = self._parse(_ANSWER, raw, _ASKED)
        if answer.id.lower() != wanted:
            # Promise 10: the wrong sequence on a patient is worse than none.
            raise TransientError("the sequence manager answered with another sequence than asked")
        return Sequence(wanted, raw)
