"""A log of JSON lines that outlives a kill: each line is with the kernel before anything answers."""

import json
import time
from pathlib import Path
from typing import Any, Final

LONGEST_TEXT: Final = 2_000  # characters of one value; sequence files would fill the log
HIDDEN: Final = frozenset({"acquisition_limits", "parametrized_sequence", "password"})
"""Keys whose values are a patient's or secret: no log holds them."""


class Journal:
    """Appends lines to a file, or forgets them when there is no file."""

    def __init__(self, path: Path | None) -> None:
        self._file = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")

    def write(self, entry: dict[str, Any]) -> None:
        """Write one line and flush it. No fsync: the kernel keeps it when the process is killed."""
        if self._file is not None:
            self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def now() -> dict[str, float]:
    """Give both clocks, seconds: `wall` since 1970, `mono` only good for differences."""
    return {"wall": time.time(), "mono": time.monotonic()}


def body_for_log(body: bytes) -> Any:
    """Give a body as it may be logged: JSON without patients' data and without long texts."""
    if not body:
        return None
    try:
        return _shown(json.loads(body))
    except (ValueError, RecursionError):
        return f"({len(body)} bytes, not JSON)"


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: "(hidden)" if k in HIDDEN else _shown(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"({len(value)} characters)"
    return value
