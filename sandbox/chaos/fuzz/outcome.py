"""What came of the random messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuzzed:
    """How many were sent, and how each ended."""

    count: int
    seconds: float
    """From the first that was sent until all had come to their ends."""
    ends: Mapping[str, int]
    causes: Mapping[str, int]
    """Dead letters by their cause."""
    problems: Sequence[str] = ()
    """Sentences: who was not accounted for, and what else should not be."""
