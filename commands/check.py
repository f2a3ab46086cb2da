"""What `doctor` says of one thing."""

from dataclasses import dataclass

from commands.show import printable


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `right` is None where it can't be known, or is worth a look."""

    what: str
    right: bool | None
    sentence: str

    @property
    def line(self) -> str:
        """Write it as a line with its mark."""
        mark = {True: "✓", False: "✗", None: "?"}[self.right]
        return f"{mark} {self.what}: {printable(self.sentence)}"


def good(what: str, sentence: str) -> Check:
    """Make a tick."""
    return Check(what, right=True, sentence=sentence)


def wrong(what: str, sentence: str) -> Check:
    """Make a cross."""
    return Check(what, right=False, sentence=sentence)


def unsure(what: str, sentence: str) -> Check:
    """Make neither."""
    return Check(what, right=None, sentence=sentence)
