"""A scan as its events tell of it. Pure: events in, facts out."""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final

from models.events import EventKind, ScanEvent, ScanState
from sandbox.demo.plan import Planned

STAGES: Final = (
    ScanState.ACCEPTED,
    ScanState.READY,
    ScanState.STARTED,
    ScanState.ACQUIRED,
    ScanState.COMPLETED,
)
_DATA_ARE_IN: Final = frozenset({ScanState.ACQUIRED, ScanState.RECONSTRUCTING, ScanState.COMPLETED})


@dataclass(slots=True)
class Scan:
    """What is known of a scan so far."""

    planned: Planned
    sent: bool = False
    state: ScanState | None = None
    record_id: int | str | None = None
    percent: int = 0
    cause: str | None = None
    times: dict[ScanState, datetime] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)

    def take(self, event: ScanEvent) -> bool:
        """Take an event of this scan; False for a repeat, which tells nothing new."""
        if event.event_id in self._seen:
            return False
        self._seen.add(event.event_id)
        if event.record_id is not None:
            self.record_id = event.record_id
        if event.percent is not None:
            self.percent = max(self.percent, event.percent)
        if event.files is not None and event.event is EventKind.RESULT_REGISTERED:
            self.files.update(file.sha256 for file in event.files)
        if event.event is EventKind.STATE_CHANGED and event.state is not None:
            self.state = event.state
            self.cause = event.cause
            self.times.setdefault(event.state, event.at)
        return True

    @property
    def completed(self) -> bool:
        """Whether its image can be asked for."""
        return self.state is ScanState.COMPLETED

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self.state is not None and (
            self.state.final or self.state in (ScanState.HELD, ScanState.UNKNOWN)
        )

    @property
    def frees_device(self) -> bool:
        """Whether its scanner can go on to the next one."""
        return self.over or self.state in _DATA_ARE_IN

    def stage_seconds(self) -> list[float | None]:
        """Give the seconds from each stage to the next; None where one was not announced."""
        moments = [self._reached(stage) for stage in STAGES]
        return [
            (after - before).total_seconds() if before and after else None
            for before, after in pairwise(moments)
        ]

    def _reached(self, stage: ScanState) -> datetime | None:
        """Give the moment of a stage. A scanner's first status may overtake its answer to START."""
        if stage is ScanState.STARTED and stage not in self.times:
            return self.times.get(ScanState.RUNNING)
        return self.times.get(stage)
