"""How this worker is: outages of managers, told once; and why it is not ready, if it is not."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

from agents.device.health import Change, Health
from agents.tools import Announcement, Pool, Tools
from models.errors import ScanHubError
from models.events import EventKind, ScanState

TOLD_AFTER_S: Final = 1.0
"""An outage that lasts so long is announced: by then it is known how many jobs wait."""
DISK_S: Final = 5.0
"""How often the data lake's disk is looked at."""
DISK_LATE_S: Final = 10.0
"""A disk that can't be looked at for so long hangs: a network mount whose server is gone."""
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
        looks: Pool,
    ) -> None:
        self.broker_found = False
        """Set once the broker answered: before that the worker waits for it."""
        self._tools = tools
        self._health = health
        self._owned = owned
        self._waiting = waiting
        self._wake = wake
        self._looks = looks
        self._began_ms = tools.clock.broker_ms()
        self._disk = ""
        self._disk_at: float | None = None
        self._disk_asked: float | None = None
        metrics = tools.metrics
        metrics.heartbeat.set_function(lambda: tools.guard.age_s or 0.0)

    async def look(self) -> None:
        """Have managers that are away probed, and the disk looked at; waits for neither.

        Each on its own: a mount that hangs must not hide that a manager is back, and Faust logs each
        run of a timer that takes longer than its interval.
        """
        self._looks.submit("managers", self._look_at_managers)
        now = self._tools.clock.monotonic()
        if self._disk_asked is None and (self._disk_at is None or now - self._disk_at >= DISK_S):
            self._disk_asked = now
            self._looks.submit("disk", self._look_at_disk)

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
        return next(self._reasons(), "")

    def outages(self) -> list[dict[str, Any]]:
        """Give the managers that are away: jobs wait, the worker is ready all the same."""
        return [
            {"manager": name, "since_s": round(since_s)}
            for name, since_s in self._health.away.items()
        ]

    def _reasons(self) -> Iterator[str]:
        guard, now = self._tools.guard, self._tools.clock.monotonic()
        if not self.broker_found:
            yield "no broker answers yet: the worker waits for it"
        if self._tools.draining():
            yield "the worker stops, or its partitions go"
        if not self._owned():
            yield "no partitions yet: the group is rebalancing or recovering"
        if guard.age_s is not None and guard.age_s > LATE * guard.limit_s:
            yield f"the broker has not answered for {guard.age_s:.0f} s"
        if self._disk_asked is not None and now - self._disk_asked > DISK_LATE_S:
            yield f"the data lake has not answered for {now - self._disk_asked:.0f} s"
        if self._disk:
            yield self._disk

    @property
    def _name(self) -> str:
        return f"{self._tools.settings.worker_id}/{self._began_ms}"

    async def _look_at_managers(self) -> None:
        # Without partitions nothing may be written; once they come all that waits is woken anyway.
        if await self._health.look() and self._owned():
            self._wake()

    async def _look_at_disk(self) -> None:
        tools, most = self._tools, self._tools.settings.disk_free_mb
        said = ""
        try:
            free = await tools.lake.free_bytes()
        except ScanHubError as error:
            said = str(error)
        else:
            tools.metrics.disk_free.set(free)
            if free < most * MIB:
                left = f"the data lake's disk has {free // MIB} MiB free"
                said = f"{left}, less than SCANHUB_DISK_FREE_MB={most}"
        if said and not self._disk:
            log.warning("%s: files are not taken in, and wait", said)
        self._disk, self._disk_asked, self._disk_at = said, None, tools.clock.monotonic()


def sentence(change: Change) -> str:
    """Say what changed."""
    if change.away:
        why = f" ({change.why})" if change.why else ""
        return f"the {change.manager} is away{why}: jobs wait for it, and go on by themselves"
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
