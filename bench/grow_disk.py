"""What lies on the broker's disk, by topic."""

from collections import Counter
from pathlib import Path


def bytes_by_topic(data: Path, *prefixes: str) -> Counter[str]:
    """Give the bytes of all segments of the topics whose names begin so.

    Without indexes: they have their full size before they are filled.
    """
    found: Counter[str] = Counter()
    for segment in data.glob("*/*.log"):
        topic = segment.parent.name.rpartition("-")[0]
        if topic.startswith(prefixes):
            found[topic] += segment.stat().st_size
    return found


def folder_bytes(folder: Path) -> int:
    """Give the bytes of all files below a folder; one that goes meanwhile counts as nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
