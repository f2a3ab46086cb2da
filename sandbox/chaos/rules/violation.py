"""What a rule finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken promise; `about` names request, record or mark, so that its history can be told."""

    rule: str
    sentence: str
    about: tuple[str, ...] = ()
