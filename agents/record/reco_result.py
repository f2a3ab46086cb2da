"""What a reconstruction worker reports: its images are copied, checked, registered (promises 7, 10)."""

import asyncio
from typing import Final

from agents.record import decide, for_workflow
from agents.record.book import Book
from agents.record.state import FileKind, FileRow, ScanRow, WorkItem, WorkKind, keep
from agents.record.storing import Storing
from agents.record.upload_result import CONVENTIONAL, registered
from agents.tools import Announcement, record_key
from models.errors import PoisonError
from models.events import EventKind, ScanState
from models.results import RecoResult, ResultFile
from models.steps import FoundFile
from models.wire import Cause
from settings import RecordsDialect
from streams.inbound import Inbound

FAILED_THERE: Final = "the reconstruction worker reported a failure"


class RecoResults:
    """Takes RecoResults, and registers their images."""

    def __init__(self, book: Book, storing: Storing) -> None:
        self._book = book
        self._storing = storing

    async def take_reco_result(self, inbound: Inbound) -> None:
        """Take a RecoResult: only of a RecoJob that we sent, with files below the record's folder.

        Raises PoisonError otherwise; the scan's state is untouched then.
        """
        result = inbound.decode(RecoResult)
        if not await self._book.in_place(inbound, result.record_id):
            return
        row = self._book.scan(inbound, result.record_id)
        if row is None:
            await self._book.keep_early(inbound, result.record_id)
            return
        partition, record = inbound.partition, record_key(result.record_id)
        if self._book.files.by_reco_job(partition, record, result.reco_job_id) is None:
            raise PoisonError("no such reconstruction job was sent for this record", Cause.INVALID)
        if not result.success:
            await self._failed(inbound, row)
            return
        self._check(result, record)
        name = f"register/{result.reco_job_id}"
        item = self._book.work.get(partition, record, name)
        if item is None:
            known = [self._book.files.by_sha256(partition, record, f.sha256) for f in result.files]
            if all(file is not None for file in known):
                repeat = Announcement(event=EventKind.REPEATED, unique=inbound.origin)
                await self._book.announce(row, [repeat])
                if row.wanted_by is not None and row.state.final:
                    # Its images came late from a job before; the workflow asked for them since, and
                    # would wait for ever (found by the chaos run).
                    await self._tell_done(partition, row)
                return
            item = WorkItem(
                kind=WorkKind.REGISTER,
                original=keep(inbound),
                files=result.files,
                reco_job_id=result.reco_job_id,
            )
            await self._book.work.put(partition, record, name, item).durable()
        self._storing.begin(partition, record, name, item)

    async def notice(self, partition: int, row: ScanRow) -> None:
        """Take in the image that a foreign worker left at the conventional place."""
        record, name = record_key(row.scan.record_id), CONVENTIONAL
        if row.state.final or self._book.work.get(partition, record, name) is not None:
            return
        item = WorkItem(kind=WorkKind.REGISTER)
        await self._book.work.put(partition, record, name, item).durable()
        self._storing.begin(partition, record, name, item)

    async def register(
        self,
        partition: int,
        row: ScanRow,
        name: str,
        item: WorkItem,
        found: tuple[FoundFile, ...],
    ) -> None:
        """Register images that were copied and checked; the scan is COMPLETED with them.

        Raises PoisonError if the record has a SOP Instance UID already, with other content.
        """
        book, record = self._book, record_key(row.scan.record_id)
        for file in found:
            uid = file.sop_instance_uid or ""
            other = book.files.by_sop_instance(partition, record, uid)
            if other is not None and other.sha256 != file.sha256:
                raise PoisonError(
                    "the record has another file with this SOP Instance UID", Cause.FILE_REFUSED
                )
        before = row.before(item.mark(name))
        late = before.state.final
        rows, number = [], before.files
        for file in found:
            known = book.files.by_sha256(partition, record, file.sha256)
            image = known or FileRow(
                kind=FileKind.IMAGE,
                number=number,
                location=file.location,
                size=file.size,
                sha256=file.sha256,
                media_type=file.media_type,
                sop_class_uid=file.sop_class_uid,
                sop_instance_uid=file.sop_instance_uid,
                reco_job_id=item.reco_job_id,
            )
            number = max(number, image.number + 1)
            rows.append(image)
        # Side by side: one after the other would hold the slot for longer than a stop may wait.
        await asyncio.gather(*(book.files.add(partition, record, image) for image in rows))
        after = before.model_copy(update={"files": number})
        gateway = book.tools.settings.gateway
        after, moved = decide.move(after, ScanState.COMPLETED, book.now_ms(), gateway=gateway)
        told = [registered(*rows, late=late), *moved]
        await book.settle(partition, before, after, told, by=item.mark(name))
        if not late:
            await self._tell_exams(partition, after, rows[0])
        elif after.wanted_by is not None:
            await self._tell_done(partition, after)
        await book.finish(partition, record, name)

    async def _tell_done(self, partition: int, row: ScanRow) -> None:
        """Tell the workflow that has a scan reconstructed after its end that the image is here."""
        book, done = self._book, ScanState.COMPLETED
        await for_workflow.tell(book.tools, book.files, partition, row, state=done)

    async def _tell_exams(self, partition: int, row: ScanRow, image: FileRow) -> None:
        """Have the exam manager told where the image is; COMPLETED does not wait for it."""
        book, scan = self._book, row.scan
        if book.tools.settings.records is RecordsDialect.TASK:
            return
        told = ResultFile(location=image.location, size=image.size, sha256=image.sha256)
        item = WorkItem(kind=WorkKind.TELL, files=(told,))
        record, name = record_key(scan.record_id), "tell"
        await book.work.put(partition, record, name, item).durable()
        self._storing.begin(partition, record, name, item)

    async def _failed(self, inbound: Inbound, row: ScanRow) -> None:
        if row.state.final:
            late = Announcement(
                event=EventKind.LATE, unique=inbound.origin, fields={"state": row.state}
            )
            await self._book.announce(row, [late])
            if row.wanted_by is not None and row.state is not ScanState.COMPLETED:
                book, place = self._book, inbound.partition
                failed, why = ScanState.FAILED, FAILED_THERE
                await for_workflow.tell(book.tools, book.files, place, row, state=failed, cause=why)
            return
        # The worker's own text goes into no event: it may hold anything (promise 8).
        gateway = self._book.tools.settings.gateway
        now = self._book.now_ms()
        ended, moved = decide.move(row, ScanState.FAILED, now, gateway=gateway, cause=FAILED_THERE)
        await self._book.settle(inbound.partition, row, ended, moved, by=inbound.mark)

    @staticmethod
    def _check(result: RecoResult, record: str) -> None:
        if not result.files:
            raise PoisonError("a reconstruction that went well names its files", Cause.INVALID)
        folder = f"records/{record}/"
        if not all(file.location.startswith(folder) for file in result.files):
            raise PoisonError(
                "a file of a reconstruction lies in its record's folder", Cause.PATH_REFUSED
            )
