"""Whether the data lake and the state folder can do what the promises need."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

from commands.check import Check, good, unsure, wrong
from commands.show import human_size

LOW_BYTES: Final = 1024**3
"""Less than this is worth a look: one raw file may be as large."""


def check_data_lake(root: Path) -> list[Check]:
    """Try what a result's way into the data lake does: write, fsync, link, fsync of the folder."""
    return _looked_at("data lake", root, _data_lake)


def check_state(folder: Path) -> list[Check]:
    """Look whether local stores can be kept; the folder is made by the worker, not here."""
    return _looked_at("state folder", folder, _state)


def _looked_at(what: str, path: Path, check: Callable[[str, Path], list[Check]]) -> list[Check]:
    try:
        return check(what, path)
    except OSError as error:  # a folder above it that we may not enter
        return [wrong(what, f"{path} can't be looked at: {error.strerror}")]


def _data_lake(what: str, root: Path) -> list[Check]:
    if not root.is_dir():
        return [wrong(what, f"{root} (SCANHUB_DATA_LAKE) is no folder")]
    records = root / "records"
    place = records if records.is_dir() else root
    if (failure := try_link(place)) is not None:
        return [wrong(what, f"{place}: {failure}")]
    checks = [good(what, f"{place} takes files: write, fsync and link() work"), free(what, root)]
    if root.stat().st_dev != place.stat().st_dev:
        checks.append(
            unsure(what, f"{records} is on another file system: files are copied byte by byte")
        )
    return checks


def try_link(folder: Path) -> str | None:
    """Write a file and give it a second name, as results get theirs; say what failed."""
    one = folder / f".doctor-{uuid4().hex}"
    other = one.with_suffix(".link")
    step = "no file can be made"
    try:
        with one.open("xb") as file:
            step = "a file can't be written"
            file.write(b"scanhub doctor")
            file.flush()
            step = "fsync does not work"
            os.fsync(file.fileno())
        step = "link() does not work (results are put in place by it)"
        os.link(one, other)
        step = "fsync of a folder does not work"
        _sync_folder(folder)
    except OSError as error:
        return f"{step}: {error.strerror}"
    finally:
        for path in (other, one):
            path.unlink(missing_ok=True)
    return None


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _state(what: str, folder: Path) -> list[Check]:
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        return [wrong(what, f"{existing} is no folder (SCANHUB_STATE_DIR)")]
    if not os.access(existing, os.W_OK | os.X_OK):
        return [wrong(what, f"{existing} can't be written (SCANHUB_STATE_DIR)")]
    there = "there" if folder.is_dir() else "made when a worker starts"
    return [good(what, f"{folder} is {there}, and can be written"), free(what, existing)]


def free(what: str, folder: Path) -> Check:
    """Tell how much room there is."""
    left = shutil.disk_usage(folder).free
    say = good if left >= LOW_BYTES else unsure
    return say(what, f"{human_size(left)} are free")
