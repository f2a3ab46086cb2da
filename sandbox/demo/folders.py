"""Where the demo works and what it keeps."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MARK: Final = ".made-by-the-demo"


class FolderError(Exception):
    """A folder can't be used; the text is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """All paths of one run."""

    logs: Path
    picture: Path
    work: Path
    """Broker, tables and data lake."""


@contextmanager
def folders(out: Path, *, keep: bool) -> Iterator[Folders]:
    """Prepare the folders of a run: logs of an earlier one go, as does all its work but with `keep`."""
    logs, picture = out / "logs", out / "images.png"
    logs.mkdir(parents=True, exist_ok=True)
    for old in (*logs.glob("*.log"), picture):
        old.unlink(missing_ok=True)
    if keep:
        yield Folders(logs=logs, picture=picture, work=_emptied(out / "work"))
        return
    with tempfile.TemporaryDirectory(prefix="scanhub-demo-") as work:
        yield Folders(logs=logs, picture=picture, work=Path(work))


def _emptied(work: Path) -> Path:
    """Begin anew, as an old broker's scans are not ours; a folder of somebody else is not touched."""
    mark = work / _MARK
    if work.exists() and any(work.iterdir()) and not mark.exists():
        raise FolderError(f"{work} holds something that the demo did not make")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    mark.touch()
    return work.absolute()
