"""What the runner and the client did, and when: JSON lines that outlive a kill."""

from pathlib import Path
from typing import Any

from sandbox.managers.journal import Journal, now


class Diary:
    """Appends what happened, with both clocks."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)

    def note(self, what: str, **facts: Any) -> None:
        """Write a line; it is with the kernel on return."""
        self._journal.write({**now(), "what": what, **facts})

    def close(self) -> None:
        """Close the file."""
        self._journal.close()
