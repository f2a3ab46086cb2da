"""How this worker is: outages of managers, told once; and why it is not ready, if it is not."""

import logging
from collections.abc import Callable
from typing import Any, Final

from agents.device.health import Change, Health
from agents.tools import Announcement, Tools
from models.errors import TransientError
from models.events import EventKind, ScanState

TOLD_AFTER_S: Final = 1.0
"""An outage that lasts so long is announced: by then it is known how many jobs wait."""
DISK_S: Final = 5.0
"""How often the data lake's disk is looked at."""
LATE: Final = 0.5
"""Share of the time after which the guard ends the worker: later heartbeats are a sign of trouble."""
MIB: Final = 1024 * 1024

log = logging.getLogger(__name__)


class Readiness:
    """Looks after managers and disk, and says why the worker is not ready."""

    def __init__(
        self,
        tools: Tools,
        health: Health,
        *,
        owned: Callable[[], bool],
        waiting: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        self._tools = tools
        self._health = health
        self._owned = owned
        self._waiting = waiting
        self._wake = wake
        self._began_ms = tools.clock.broker_ms()
        self._disk = ""
        self._disk_at: float | None = None
        metrics = tools.metrics
        metrics.heartbeat.set_function(lambda: tools.guard.age_s or 0.0)

    async def look(self) -> None:
        """Probe managers that are away, and look at the disk; for a timer of its own, as it may wait."""
        if await self._health.look():
            self._wake()
        now = self._tools.clock.monotonic()
        if self._disk_at is None or now - self._disk_at >= DISK_S:
            self._disk_at = now
            await self._look_at_disk()

    async def tell(self) -> None:
        """Announce outages that began or ended: one event and one line in the log for each."""
        for change in self._health.changes(TOLD_AFTER_S):
            self._tools.metrics.manager_away.labels(change.manager).set(change.away)
            log.warning("%s", sentence(change))
            await self._tools.announce(
                [announcement(change, self._waiting(), self._name)],
                key=f"manager/{change.manager.replace(' ', '-')}",
            )

    def why_not_ready(self) -> str:
        """Say why this worker can't do its work now; nothing if it can."""
        settings, age_s = self._tools.settings, self._tools.guard.age_s
        if not self._owned():
            return "no partitions yet: the group is rebalancing or recovering"
        if self._tools.draining():
            return "the worker stops, or its partitions go"
        if age_s is not None and age_s > LATE * self._tools.guard.limit_s:
            return f"the broker has not answered for {age_s:.0f} s"
        if self._disk:
            return self._disk.replace("SCANHUB_DISK_FREE_MB", f"{settings.disk_free_mb} MiB")
        return ""

    def outages(self) -> list[dict[str, Any]]:
        """Give the managers that are away: jobs wait, the worker is ready all the same."""
        return [
            {"manager": name, "since_s": round(since_s)}
            for name, since_s in self._health.away.items()
        ]

    @property
    def _name(self) -> str:
        return f"{self._tools.settings.worker_id}/{self._began_ms}"

    async def _look_at_disk(self) -> None:
        tools = self._tools
        try:
            free = await tools.lake.free_bytes()
        except TransientError as error:
            self._disk = str(error)
            return
        tools.metrics.disk_free.set(free)
        low = free < tools.settings.disk_free_mb * MIB
        said = f"the data lake's disk has {free // MIB} MiB free, less than SCANHUB_DISK_FREE_MB"
        if low and not self._disk:
            log.warning("%s: files are not taken in until there is room", said)
        self._disk = said if low else ""


def sentence(change: Change) -> str:
    """Say what changed."""
    if change.away:
        return f"the {change.manager} is away: jobs wait for it, and go on by themselves"
    return f"the {change.manager} answers again, after {change.lasted_s:.0f} s"


def announcement(change: Change, waiting: int, worker: str) -> Announcement:
    """Announce an outage, or its end; each worker says what it sees."""
    return Announcement(
        event=EventKind.RETRYING,
        unique=f"{worker}/{change.number}/{change.away}",
        fields={
            "manager": change.manager,
            "state": ScanState.WAITING if change.away else ScanState.ACCEPTED,
            "cause": sentence(change),
            "count": waiting,
        },
    )
