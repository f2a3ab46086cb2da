"""The record aggregate's tables and how it speaks: shared by its handlers."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from agents.record import for_workflow, silence
from agents.record.files import RecordFiles
from agents.record.state import ScanRow, WorkItem, WorkKind, keep
from agents.states import RANK
from agents.tools import Announcement, Tools, record_key
from models import wire
from models.base import RecordId
from models.errors import PoisonError
from models.events import ScanState
from models.steps import DeviceStep, DeviceStepKind
from models.wire import Cause
from settings import RecordsDialect
from streams.inbound import Inbound
from streams.intake import is_in_place, reroute
from streams.openwork import OpenWork
from streams.tables import DurableTable, Write

MOST_EARLY: Final = 64
"""Messages kept for one record that is not known yet."""
MOST_OPEN: Final = 20_000
"""Rows of open work from which on early messages are no longer kept."""
DEADLINE: Final = "deadline"
"""Name of the row of a scan's deadline."""


class Source(Enum):
    """Who changes a scan."""

    EVIDENCE = auto()  # what its scanner or its reconstruction sent
    DEVICE = auto()  # its device's aggregate, which need not be told of it
    PERSON = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The tables of the record's aggregate."""

    tools: Tools
    scans: DurableTable[ScanRow]
    files: RecordFiles
    work: OpenWork[WorkItem]

    def now_ms(self) -> int:
        """Wall time, ms, for people."""
        return int(self.tools.clock.wall().timestamp() * 1000)

    def scan(self, inbound: Inbound, record_id: RecordId) -> ScanRow | None:
        """Read a scan's row, as this message finds it, or found it when it ended the scan."""
        return self.found_by(inbound, self.scans.get(inbound.partition, record_key(record_id)))

    @staticmethod
    def found_by(inbound: Inbound, row: ScanRow | None) -> ScanRow | None:
        """Give a scan's row as this message finds it; a mark is made only where it can matter."""
        return row if row is None or row.ended_by is None else row.before(inbound.mark)

    async def in_place(self, inbound: Inbound, record_id: RecordId) -> bool:
        """Tell whether a message is on its record's partition; if not, it is moved there."""
        owner = record_key(record_id)
        if is_in_place(inbound, owner, self.tools.partitions):
            return True
        await reroute(inbound, owner, self.tools.partitions, self.tools.outbox)
        return False

    async def keep_early(self, inbound: Inbound, record_id: RecordId) -> None:
        """Keep a message that came before its record is known, until it is or a deadline passes.

        Raises PoisonError where no more are kept.
        """
        owner, partition = record_key(record_id), inbound.partition
        early = self.work.names(partition, owner, "early/")
        for name in early:
            row = self.work.get(partition, owner, name)
            if row is not None and row.original is not None and row.original.inbound() == inbound:
                return  # redelivered
        if len(early) >= MOST_EARLY or self.work.size >= MOST_OPEN:
            raise PoisonError(
                "no such record is known, and many wait already", Cause.UNKNOWN_RECORD
            )
        number = int(early[-1].removeprefix("early/")) + 1 if early else 0
        wait_ms = int(self.tools.settings.early_s * 1000)
        item = WorkItem(
            kind=WorkKind.EARLY,
            original=keep(inbound),
            due_ms=self.tools.clock.broker_ms() + wait_ms,
        )
        await self.work.put(partition, owner, f"early/{number:06d}", item).durable()

    async def announce(self, row: ScanRow, announcements: list[Announcement]) -> None:
        """Announce what happened to a scan."""
        scan = row.scan
        await self.tools.announce(
            announcements,
            key=record_key(scan.record_id),
            request_id=scan.request_id,
            job_id=scan.job_id,
            record_id=scan.record_id,
            device_id=scan.device_id,
            workflow_id=scan.workflow_id,
        )

    async def settle(
        self,
        partition: int,
        before: ScanRow,
        after: ScanRow,
        announcements: list[Announcement],
        *,
        by: str | Inbound,
        durable: bool = True,
        source: Source = Source.EVIDENCE,
    ) -> None:
        """Announce what a message (`by`: it, or its mark) did to a scan, and write the row.

        Events come before the row, so that a crash in between repeats them. A final state is the
        other way round: topics have no common order, so after a crash another message could be
        handled first, and end the scan once more, otherwise. Its row names the message that ended
        the scan, which announces it when it comes again (ScanRow.before).

        What the scanner or reconstruction sent is evidence that the scan was started, which the
        device's aggregate is told if it takes the scan for UNKNOWN; and that the scan is over there.
        """
        evidence = source is Source.EVIDENCE
        if evidence and before.state is ScanState.UNKNOWN and after.state is not ScanState.UNKNOWN:
            await self.settle_unknown(before, started=True)
        after = silence.seen(before, after, self.tools.clock.broker_ms(), evidence=evidence)
        frees = self._frees_device(before, after, source)
        stored = self.scans.get(partition, record_key(after.scan.record_id))
        ends = after.state.final and not before.state.final
        if ends:
            ended_ms = before.ended_ms or self.tools.clock.broker_ms()  # the first time it was told
            mark = by if isinstance(by, str) else by.mark
            end = {"ended_by": mark, "ended_from": before.state, "ended_ms": ended_ms}
            after = after.model_copy(update=end)
        elif stored is not None and stored.state.final and not after.state.final:
            return  # handled again with other settings, it would not end the scan: the end stands
        else:
            await self._say(partition, before, after, announcements, frees=frees)
        deadline = self._set_deadline(partition, after, moved=after.state is not before.state)
        # Also a row that stands so already: a worker that died with the broker may have written it to
        # its own store only, and another one would never know of it.
        await self.write(partition, after, durable=durable or ends)
        if deadline is not None:
            await deadline.durable()
        if ends:
            await self._say(partition, before, after, announcements, frees=frees)
            self.work.drop(partition, record_key(after.scan.record_id), DEADLINE)

    async def _say(
        self,
        partition: int,
        before: ScanRow,
        after: ScanRow,
        announcements: list[Announcement],
        *,
        frees: bool,
    ) -> None:
        """Announce a change, and tell the aggregates that wait for it."""
        await self.announce(after, announcements)
        if frees:
            await self._free_device(after)
        if for_workflow.is_news(before, after):
            await for_workflow.tell(self.tools, self.files, partition, after)

    async def confirm(
        self,
        partition: int,
        before: ScanRow,
        after: ScanRow,
        announcements: list[Announcement],
        *,
        started: bool,
    ) -> None:
        """Settle an UNKNOWN scan by a person's word: announced, told to its device, written."""
        await self.announce(after, announcements)
        await self.settle_unknown(after, started=started)
        after = silence.seen(before, after, self.tools.clock.broker_ms(), evidence=False)
        deadline = self._set_deadline(partition, after, moved=True)
        await self.write(partition, after, durable=True)
        if deadline is not None:
            await deadline.durable()

    def _set_deadline(self, partition: int, row: ScanRow, *, moved: bool) -> Write | None:
        """Set a scan's deadline, if it has none, or one that is later than its state allows.

        A deadline that comes due too early is set anew then (agents/record/deadlines.py), so that
        statuses need not write it.
        """
        limit = silence.limit_s(row, self.tools.settings)
        record = record_key(row.scan.record_id)
        known = self.work.first(partition, record, DEADLINE) is not None
        if limit is None or (known and not moved):
            return None
        item = self.work.get(partition, record, DEADLINE) if known else None
        due_ms = self.tools.clock.broker_ms() + int(limit * 1000)
        if item is not None and item.due_ms is not None and item.due_ms <= due_ms:
            return None
        version = 0 if item is None else item.version + 1
        deadline = WorkItem(kind=WorkKind.DEADLINE, due_ms=due_ms, version=version)
        return self.work.put(partition, record, DEADLINE, deadline)

    def _frees_device(self, before: ScanRow, after: ScanRow, source: Source) -> bool:
        """Tell whether the device's aggregate is to hear that a scan is over at its device.

        Without a limit of scans nobody waits for it; but a START that is still to come must not. Where
        the device reads its orders itself, its job is READY until it hears of this, and would never be
        old enough to be forgotten (agents/device/expiry.py).
        """
        acquired = RANK[ScanState.ACQUIRED]
        if source is Source.DEVICE or not RANK[before.state] < acquired <= RANK[after.state]:
            return False
        if before.state is ScanState.UNKNOWN and source is Source.EVIDENCE:
            started = True  # told as CONFIRMED
        else:
            started = RANK[before.state] >= RANK[ScanState.STARTED]
        settings = self.tools.settings
        return not started or settings.scans_per_device > 0 or not settings.gateway

    async def _free_device(self, row: ScanRow) -> None:
        scan = row.scan
        step = DeviceStep(
            kind=DeviceStepKind.RELEASED,
            device_id=scan.device_id,
            request_id=scan.request_id,
            state=row.state,
        )
        await self.tools.outbox.deliver_step(wire.DEVICE_STEPS, scan.device_id, step.to_bytes())

    async def write(self, partition: int, row: ScanRow, *, durable: bool) -> None:
        """Write a scan's row."""
        records = self.tools.settings.records is not RecordsDialect.TASK
        if records and row.state.final and row.creations > 1 and not row.tidied:
            row = row.model_copy(update={"tidied": True})
            tidy = WorkItem(kind=WorkKind.TIDY, due_ms=self.tools.clock.broker_ms())
            await self.work.put(partition, record_key(row.scan.record_id), "tidy", tidy).durable()
        written = self.scans.put(partition, record_key(row.scan.record_id), row)
        if durable:
            await written.durable()

    async def settle_unknown(self, row: ScanRow, *, started: bool) -> None:
        """Tell the device's aggregate what became of a scan that it knows as UNKNOWN."""
        scan = row.scan
        step = DeviceStep(
            kind=DeviceStepKind.CONFIRMED,
            device_id=scan.device_id,
            request_id=scan.request_id,
            attempt=row.attempt,
            started=started,
        )
        await self.tools.outbox.deliver_step(wire.DEVICE_STEPS, scan.device_id, step.to_bytes())

    async def finish(self, partition: int, record: str, name: str) -> None:
        """Drop a row of open work: its work is done, and everything that follows from it is out."""
        dropped = self.work.drop(partition, record, name)
        if dropped is not None:
            await dropped.durable()
