"""The record's agent: one stream of all topics that are keyed by record, one at a time for each."""

from typing import Final

from agents.record import decide, expiry
from agents.record.book import Book, Source
from agents.record.commands import Commands
from agents.record.deadlines import Deadlines
from agents.record.forward_status import StatusForwarder
from agents.record.reco_result import RecoResults
from agents.record.state import ScanRow, WorkItem, WorkKind
from agents.record.storing import Storing
from agents.record.upload_result import Uploads
from agents.tools import Announcement, record_key
from models import wire
from models.errors import PoisonError
from models.events import EventKind
from models.steps import Failure, RecordStep, RecordStepKind
from models.wire import Cause
from streams.inbound import Inbound
from streams.openwork import Due, back_off_ms

TOPICS = (wire.SCAN_STATUS, wire.RESULT_UPLOADS, wire.RECO_RESULTS, wire.RECORD_STEPS)

ASKED: Final = (RecordStepKind.COMMAND, RecordStepKind.RECONSTRUCT, RecordStepKind.NOTICED)
MOST_LOOKS: Final = 6
"""So often is a file looked for that was announced and is not there (a slow network file system)."""
MOST_TELLS: Final = 3
"""So often is the exam manager told of an image; it answers 500 for ever in the UUID era."""
TELL_WAIT: Final = 4
"""Between these, in longest back-offs: 20 s and 40 s as set by default."""
GRACE_MS: Final = 10_000
"""After a recovery an early message waits at least so long: its record's news may be unread yet."""
DEADLINE_GRACE_MS: Final = 2_000
"""The same for deadlines; what is unread then is waited for in any case (streams/caughtup.py)."""
WATCH_MS: Final = 2_000
"""A foreign worker's image is looked for at least so often: it is to be noticed within 5 s."""
SLOW_MS: Final = 4_000
"""A foreign worker's image that is overdue is looked for so seldom."""


class RecordAgent:
    """Routes a record's messages to what decides them."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._storing = Storing(book)
        self._uploads = Uploads(book, self._storing)
        self._results = RecoResults(book, self._storing)
        self._commands = Commands(book)
        self._deadlines = Deadlines(book)
        self._handlers = {
            wire.SCAN_STATUS: StatusForwarder(book).forward_status,
            wire.RESULT_UPLOADS: self._uploads.upload_result,
            wire.RECO_RESULTS: self._results.take_reco_result,
            wire.RECORD_STEPS: self.step,
        }

    async def handle(self, inbound: Inbound) -> None:
        """Settle one message."""
        await self._book.tools.settle(inbound, self._handlers[inbound.topic])

    async def step(self, inbound: Inbound) -> None:
        """Take a step that another aggregate, a timer or background work sent."""
        step = inbound.decode(RecordStep)
        partition, record = inbound.partition, record_key(step.record_id)
        row = self._book.scans.get(partition, record)
        if step.kind is RecordStepKind.SCAN:
            if step.scan is None or record_key(step.scan.record_id) != record:
                raise PoisonError("a step of a scan names its own record's", Cause.INVALID)
            found = self._book.found_by(inbound, row)
            await self._hear(inbound, found, step)
            return
        if step.kind is RecordStepKind.EXPIRE:
            await expiry.forget(self._book, partition, record, row)
            return
        if step.kind in ASKED:
            await self._asked(inbound, row, step)
            return
        item = self._book.work.get(partition, record, step.name)
        if item is None or item.version != step.version:
            return
        if step.kind is RecordStepKind.DUE:
            await self._due(partition, record, step.name, item)
        elif row is not None and step.failure is not None:
            await self._failed(partition, row, step.name, item, step.failure)
        elif row is not None:
            await self._done(partition, row, step, item)

    async def _asked(self, inbound: Inbound, row: ScanRow | None, step: RecordStep) -> None:
        """Do what somebody asks of a scan."""
        partition = inbound.partition
        if step.kind is RecordStepKind.COMMAND:
            found = self._book.found_by(inbound, row)
            await self._commands.take(partition, found, step, inbound.mark)
        elif step.kind is RecordStepKind.RECONSTRUCT:
            await self._uploads.reconstruct_for(partition, row, step)
        elif row is not None:
            await self._results.notice(partition, row)

    async def _hear(self, inbound: Inbound, row: ScanRow | None, step: RecordStep) -> None:
        """Hear how far the device's aggregate is; messages that came early are handled now."""
        book, now, partition = self._book, self._book.now_ms(), inbound.partition
        gateway = book.tools.settings.gateway
        before = row or decide.first_seen(step, now)
        after, announcements = decide.told_by_device(
            before, step, now, gateway=gateway, offset=inbound.offset
        )
        if decide.is_settled(after, step):
            # Evidence overtook the news: the device's aggregate still takes the scan for UNKNOWN.
            settled = after.model_copy(update={"attempt": step.attempt or 0})
            await book.settle_unknown(settled, started=True)
        await book.settle(partition, before, after, announcements, by=inbound, source=Source.DEVICE)
        record = record_key(step.record_id)
        for name in book.work.names(partition, record, "early/"):
            item = book.work.get(partition, record, name)
            if item is not None and item.original is not None:
                await self.handle(item.original.inbound())
            await book.finish(partition, record, name)

    async def _due(self, partition: int, record: str, name: str, item: WorkItem) -> None:
        if item.kind is WorkKind.DEADLINE:
            await self._deadlines.due(partition, record, item)
            return
        if item.kind is not WorkKind.EARLY:
            self._storing.begin(partition, record, name, item)
            return
        if item.original is not None:
            error = PoisonError("its record did not become known in time", Cause.UNKNOWN_RECORD)
            original = item.original.inbound()
            await self._book.tools.dead_letters.bury(original, error, stage="early")
        await self._book.finish(partition, record, name)

    async def _done(self, partition: int, row: ScanRow, step: RecordStep, item: WorkItem) -> None:
        if item.kind is WorkKind.COPY:
            await self._uploads.register(partition, row, step.name, item, step.files[0])
        elif item.kind is WorkKind.REGISTER:
            try:
                await self._results.register(partition, row, step.name, item, step.files)
            except PoisonError as error:
                failure = Failure(sentence=str(error), cause=error.cause)
                await self._failed(partition, row, step.name, item, failure)
        else:
            if step.spares:
                await self._book.announce(row, [_spare(step.spares)])
            if item.kind is WorkKind.TIDY and not item.second:
                await self._second_look(partition, row, step.name, item)
            else:
                await self._book.finish(partition, record_key(row.scan.record_id), step.name)

    async def _failed(
        self, partition: int, row: ScanRow, name: str, item: WorkItem, failure: Failure
    ) -> None:
        """Try again later, or give the message up as a dead letter; the scan's state is untouched."""
        book, record = self._book, record_key(row.scan.record_id)
        most = {WorkKind.TELL: MOST_TELLS}.get(item.kind, MOST_LOOKS)
        bounded = item.kind is WorkKind.TELL or failure.cause is not None
        if item.watch and row.state.final:
            await book.finish(partition, record, name)
            return
        counted = item.counted + failure.counts
        if failure.again and not (bounded and counted >= most):
            slow = SLOW_MS if item.watch and row.overdue else 0
            if item.kind is WorkKind.TELL:
                # Few tries, and an outage of a minute must not use them up.
                slow = int(counted * TELL_WAIT * book.tools.settings.retry_most_s * 1000)
            counting = item.model_copy(update={"counted": counted})
            await self._later(partition, record, name, counting, slow)
            if item.tries == 0 and not item.watch:
                await book.announce(row, [_told(EventKind.RETRYING, name, failure)])
            return
        if item.kind in (WorkKind.TELL, WorkKind.TIDY):
            await book.announce(row, [_told(EventKind.CONFLICT, name, failure)])
        else:
            if item.original is not None:
                error = PoisonError(failure.sentence, failure.cause or Cause.FILE_REFUSED)
                stage = "upload_result" if item.kind is WorkKind.COPY else "take_reco_result"
                await book.tools.dead_letters.bury(item.original.inbound(), error, stage=stage)
            await book.announce(row, [_told(EventKind.RESULT_REFUSED, name, failure)])
        await book.finish(partition, record, name)

    async def _second_look(self, partition: int, row: ScanRow, name: str, item: WorkItem) -> None:
        """Look for spare records once more, later: the manager may still be at work on a lost POST."""
        due_ms = self._book.tools.clock.broker_ms() + int(self._book.tools.settings.tidy_s * 1000)
        later = {"second": True, "version": item.version + 1, "due_ms": due_ms, "tries": 0}
        again = item.model_copy(update=later)
        await self._book.work.put(partition, record_key(row.scan.record_id), name, again).durable()

    async def _later(
        self, partition: int, record: str, name: str, item: WorkItem, least_ms: int
    ) -> None:
        settings = self._book.tools.settings
        wait = back_off_ms(item.tries, settings.retry_first_s, settings.retry_most_s)
        wait = min(wait, WATCH_MS) if item.watch else wait
        again = {
            "tries": item.tries + 1,
            "version": item.version + 1,
            "due_ms": self._book.tools.clock.broker_ms() + max(wait, least_ms),
        }
        waiting = item.model_copy(update=again)
        await self._book.work.put(partition, record, name, waiting).durable()

    def recovered(self) -> None:
        """Read the open work anew after a recovery; what ran in the background is begun again."""
        now = self._book.tools.clock.broker_ms()
        grace = {WorkKind.EARLY: GRACE_MS, WorkKind.DEADLINE: DEADLINE_GRACE_MS}
        for partition, record, name, item in self._book.work.rebuild():
            if item.kind in grace:
                soonest = now + grace[item.kind]
                if item.due_ms is not None and item.due_ms < soonest:
                    later = {"due_ms": soonest, "version": item.version + 1}
                    self._book.work.put(partition, record, name, item.model_copy(update=later))
            elif item.due_ms is None:
                self._storing.begin(partition, record, name, item)

    async def wake(self, due: Due) -> None:
        """Turn open work whose time has come into a message of its record."""
        step = RecordStep(
            kind=RecordStepKind.DUE, record_id=due.owner, name=due.name, version=due.version
        )
        await self._book.tools.outbox.deliver_step(wire.RECORD_STEPS, due.owner, step.to_bytes())


def _spare(spares: tuple[int | str, ...]) -> Announcement:
    named = ", ".join(str(spare) for spare in spares[:20])
    return Announcement(
        event=EventKind.CONFLICT,
        unique=f"spare/{named}",
        fields={
            "cause": f"spare records of this request were closed and are never used: {named}",
            "count": len(spares),
        },
    )


def _told(event: EventKind, name: str, failure: Failure) -> Announcement:
    return Announcement(event=event, unique=name, fields={"cause": failure.sentence})
