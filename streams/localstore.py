"""The folder of a worker's local stores: one for each cluster, app and worker, never an old one.

A store of another cluster or app crashes Faust (ConsistencyError). One that was away for longer than
changelogs keep tombstones would bring deleted rows back: it is thrown away, and made anew.
"""

import logging
import shutil
import time
from pathlib import Path
from typing import Final

from streams.provision import DELETE_RETENTION_MS

SPOILED: Final = "spoiled"
AWAY_S: Final = 15.0
"""Longer than a session: then the broker has forgotten a static member that does not come back."""
TOUCH_S: Final = 60.0
"""How often it is noted that the store is in use."""

STORE_OPTIONS: Final = {
    "write_buffer_size": 4 * 2**20,
    "max_write_buffer_number": 2,
    "block_cache_size": 4 * 2**20,
}
"""Of each partition of a table: Faust's 3 times 64 MiB and 2 GiB are for one store, and a worker has
64 of them, or twice that with its standbys."""

log = logging.getLogger(__name__)


class LocalStore:
    """A worker's folder, with a mark that tells when it was last used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mark = folder / "last-used"
        self._touched = 0.0

    def spoil(self) -> None:
        """Have the next process stay away until the broker forgot this member, and start anew."""
        (self.folder / SPOILED).touch()

    def away_s(self) -> float:
        """Give the seconds for which a member whose store was spoiled must still stay away."""
        mark = self.folder / SPOILED
        if not mark.exists():
            return 0.0
        return max(0.0, AWAY_S - (time.time() - mark.stat().st_mtime))

    def open(self) -> None:
        """Make the folder, without what is too old to be used, or was spoiled."""
        most_s = DELETE_RETENTION_MS / 1000 * 0.9
        spoiled = (self.folder / SPOILED).exists()
        if self.folder.exists() and (spoiled or self._age_s() > most_s):
            log.warning("the local store was spoiled, or not used for a long time: it is made anew")
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.touch()

    def touch(self) -> None:
        """Note that the store is in use; called often, does it once a minute."""
        now = time.monotonic()
        if self._touched == 0.0 or now - self._touched > TOUCH_S:
            self._touched = now
            self._mark.touch()

    def _age_s(self) -> float:
        if not self._mark.exists():
            return float("inf")
        return time.time() - self._mark.stat().st_mtime
