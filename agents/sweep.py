"""The sweep: finds rows that are old, slowly, and tells their owners, who decide and delete.

It only reads. Its step is handled in its key's order, so nothing is deleted below a message that is
being handled, and a row that changed meanwhile stays. A pass goes over the three large tables that grow
with each job; the rows of files go with their scan. It begins a minute after a recovery, when what came
again has been handled, and then once an hour.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.device import expiry as requests
from agents.device.state import RequestRow
from agents.record import expiry as records
from agents.record.state import ScanRow
from agents.tools import Tools, record_key
from agents.workflow import expiry as workflows
from agents.workflow.state import WorkflowRow
from models import wire
from models.base import Message, canonical
from models.steps import (
    DeviceStep,
    DeviceStepKind,
    RecordStep,
    RecordStepKind,
    WorkflowStep,
    WorkflowStepKind,
)
from settings import Settings
from streams.engine import App
from streams.tables import DurableTable
from streams.walk import walk

EACH_S: Final = 0.1
SLICE_S: Final = 0.002
"""So long the loop is kept, each 0.1 s, while a pass is under way."""
MOST_REQUESTS: Final = 20
"""At most so many of them each time, 200 in a second: live work is not to feel it."""
MOST_OTHERS: Final = 5
"""Of the others: a scan has about eight rows."""
FIRST_S: Final = 60.0
AGAIN_S: Final = 3600.0

Walk = Callable[[Any, int, str | None], Iterator[tuple[str, Any]]]
Step = tuple[str, Message]
"""Whom a step is for (a key), and the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A table whose rows expire, and how their owners are told."""

    table: DurableTable[Any]
    topic: str
    is_old: Callable[[Any, int], bool]
    """Of a row, at a broker time in ms."""
    steps: Callable[[list[Any]], Iterable[Step]]
    most: int


class Sweep:
    """Walks the shelves of the partitions that this worker owns, one slice with each tick."""

    def __init__(
        self,
        tools: Tools,
        shelves: Sequence[Shelf],
        *,
        owned: Callable[[], bool],
        walk: Walk = walk,
    ) -> None:
        self._clock = tools.clock
        self._outbox = tools.outbox
        self._partitions = tools.partitions
        self._again_s = pause_s(tools.settings)
        self._shelves = shelves
        self._owned = owned
        self._walk = walk
        self._places: list[tuple[Shelf, int]] = []
        """What is left of this pass; the last is under way."""
        self._after: str | None = None
        self._next_s = float("inf")

    def recovered(self) -> None:
        """Begin anew after a recovery, on the partitions as they are now."""
        self._places, self._after = [], None
        self._next_s = self._clock.monotonic() + min(FIRST_S, self._again_s)

    async def tick(self) -> None:
        """Look at the next rows, if a pass is under way or it is time for one."""
        if not self._owned():
            return
        now = self._clock.monotonic()
        if not self._places and now >= self._next_s:
            self._next_s = now + self._again_s
            every = range(self._partitions)
            self._places = [(shelf, place) for shelf in self._shelves for place in every]
        while self._places:
            shelf, partition = self._places[-1]
            if shelf.table.owns(partition):
                steps = shelf.steps(self._look(shelf, partition))
                told = (self._outbox.deliver_step(shelf.topic, o, s.to_bytes()) for o, s in steps)
                await asyncio.gather(*told)
                break
            self._leave()

    def _look(self, shelf: Shelf, partition: int) -> list[Any]:
        """Walk on until the time or the count is used up, or the partition's rows are."""
        until, now_ms = self._clock.monotonic() + SLICE_S, self._clock.broker_ms()
        old: list[Any] = []
        for key, row in self._walk(shelf.table, partition, self._after):
            self._after = key
            if shelf.is_old(row, now_ms):
                old.append(row)
            if len(old) >= shelf.most or self._clock.monotonic() > until:
                return old
        self._leave()
        return old

    def _leave(self) -> None:
        self._places.pop()
        self._after = None


def add_sweep(app: App, tools: Tools, owned: Callable[[], bool]) -> Sweep:
    """Put the sweep together, with its timer. Does no I/O."""
    tables = {table.name: table for table in app.durables}
    sweep = Sweep(tools, make_shelves(tools.settings, tables), owned=owned)
    app.timer(EACH_S)(sweep.tick)
    return sweep


def pause_s(settings: Settings) -> float:
    """Say how long after the beginning of a pass the next one begins: an hour, or what rows live."""
    days = [settings.remember_requests_days, settings.keep_records_days or float("inf")]
    return max(1.0, min(AGAIN_S, min(days) * 86_400))


def make_shelves(settings: Settings, tables: dict[str, DurableTable[Any]]) -> list[Shelf]:
    """Say of each table what is old, and who is told."""
    remember, keep = settings.remember_requests_days, settings.keep_records_days
    return [
        Shelf(
            table=tables["requests"],
            topic=wire.DEVICE_STEPS,
            is_old=lambda row, now_ms: requests.is_old(row, now_ms, remember),
            steps=_device_steps,
            most=MOST_REQUESTS,
        ),
        Shelf(
            table=tables["workflows"],
            topic=wire.WORKFLOW_STEPS,
            is_old=lambda row, now_ms: workflows.is_old(row, now_ms, remember),
            steps=_workflow_steps,
            most=MOST_OTHERS,
        ),
        Shelf(
            table=tables["scans"],
            topic=wire.RECORD_STEPS,
            is_old=lambda row, now_ms: records.is_old(row, now_ms, keep),
            steps=_record_steps,
            most=MOST_OTHERS,
        ),
    ]


def _device_steps(rows: list[RequestRow]) -> Iterator[Step]:
    """One for each device: its key is the device, so all of them are in its order."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        found[row.job.device_id].append(row.request_id)
    for device, ids in found.items():
        step = DeviceStep(kind=DeviceStepKind.EXPIRE, device_id=device, requests=tuple(ids))
        yield device, step


def _record_steps(rows: list[ScanRow]) -> Iterator[Step]:
    for row in rows:
        record_id = row.scan.record_id
        yield (
            record_key(record_id),
            RecordStep(kind=RecordStepKind.EXPIRE, record_id=record_id),
        )


def _workflow_steps(rows: list[WorkflowRow]) -> Iterator[Step]:
    for row in rows:
        yield canonical(row.id), WorkflowStep(kind=WorkflowStepKind.EXPIRE, workflow_id=row.id)
