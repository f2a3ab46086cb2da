"""The scanner's raw data: announced by reference, copied, checked, registered, sent to reconstruction.

The order of what is written is the order in which a crash may cut it: file row, RecoJob, events and
scan row (Book.settle), and last the row of open work goes. What is missing is done again, same ids.
"""

from typing import Final

import orjson

from agents.record import decide, for_workflow
from agents.record.book import Book, Source
from agents.record.state import FileKind, FileRow, ScanRow, WorkItem, WorkKind, keep
from agents.record.storing import Storing
from agents.tools import Announcement, record_key
from models import wire
from models.base import is_integer_id
from models.errors import PoisonError
from models.events import EventFile, EventKind, ScanState
from models.results import RecoJob, ResultUpload
from models.steps import FoundFile, RecordStep
from models.wire import Cause
from settings import RecoDialect
from streams.inbound import Inbound
from streams.outbox import standard_headers

CONVENTIONAL: Final = "register/conventional"
"""Name of the work that takes in a foreign worker's image."""
LOOK_MS: Final = 2_000
"""How long after a RecoJob a foreign worker's image is first looked for."""

_CHUNKED = frozenset({"chunk", "chunks", "chunk_size", "index", "data"})


class Uploads:
    """Takes uploads, and registers what became of them."""

    def __init__(self, book: Book, storing: Storing) -> None:
        self._book = book
        self._storing = storing

    async def upload_result(self, inbound: Inbound) -> None:
        """Take an announced file in: its row is durable, the copying goes on in the background.

        Raises PoisonError: what is no ResultUpload, the form in chunks (reserved), another device.
        """
        try:
            upload = inbound.decode(ResultUpload)
        except PoisonError:
            if _in_chunks(inbound.value):
                raise PoisonError("uploads in chunks are not taken", Cause.UNSUPPORTED) from None
            raise
        if not await self._book.in_place(inbound, upload.record_id):
            return
        row = self._book.scan(inbound, upload.record_id)
        if row is None:
            await self._book.keep_early(inbound, upload.record_id)
            return
        if upload.device_id not in (None, row.scan.device_id):
            raise PoisonError("the upload names another device than the scan's", Cause.WRONG_DEVICE)
        partition, record = inbound.partition, record_key(upload.record_id)
        name = f"copy/{upload.sha256}"
        item = self._book.work.get(partition, record, name)
        if item is None:
            if self._book.files.by_sha256(partition, record, upload.sha256) is not None:
                repeat = Announcement(event=EventKind.REPEATED, unique=inbound.origin)
                await self._book.announce(row, [repeat])
                return
            item = WorkItem(kind=WorkKind.COPY, original=keep(inbound))
            await self._book.work.put(partition, record, name, item).durable()
        self._storing.begin(partition, record, name, item)

    async def register(
        self, partition: int, row: ScanRow, name: str, item: WorkItem, found: FoundFile
    ) -> None:
        """Register a file that was copied and checked, and send its RecoJob."""
        book, scan = self._book, row.scan
        record = record_key(scan.record_id)
        before = row.before(item.mark(name))
        file = book.files.by_sha256(partition, record, found.sha256) or FileRow(
            kind=FileKind.RAW,
            number=before.files,
            location=found.location,
            size=found.size,
            sha256=found.sha256,
            media_type=found.media_type,
            reco_job_id=wire.make_id(scan.request_id, f"reco/{record}", found.sha256),
            late=before.state.final,
        )
        await book.files.add(partition, record, file)
        announcements = [registered(file, late=file.late)]
        if before.raw is not None and before.raw != file.number:
            cause = "another raw data file than the first: kept beside it"
            announcements.append(conflict(file, cause))
        update = {
            "files": max(before.files, file.number + 1),
            "raw": file.number if before.raw is None else before.raw,
        }
        after = before.model_copy(update=update)
        if not file.late:
            after, moved = await self._go_on(partition, after, file)
            announcements += moved
        await book.settle(partition, before, after, announcements, by=item.mark(name))
        await book.finish(partition, record, name)
        if item.original is not None:
            self._remove_source(item.original.inbound().decode(ResultUpload))

    def _remove_source(self, upload: ResultUpload) -> None:
        """Remove the sender's file in the background: best effort, our copy is the one that counts."""

        async def remove() -> None:
            await self._book.tools.lake.remove_source(
                upload.location, size=upload.size, sha256=upload.sha256
            )

        self._book.tools.files.submit(f"remove/{upload.upload_id}/{upload.sha256}", remove)

    async def reconstruct_for(self, partition: int, row: ScanRow | None, step: RecordStep) -> None:
        """Reconstruct for a workflow's own task (RECONSTRUCT), now or when the raw data are here.

        A scan that ended without an image keeps its state; the image that comes later is kept, and
        the workflow hears of it.
        """
        book, mark = self._book, f"wanted/{step.workflow_id}/{step.attempt}"
        if row is None:
            await for_workflow.tell_unknown(book.tools, step)
            return
        wanted = row.model_copy(update={"wanted_by": step.workflow_id, "wanted": step.attempt})
        record = record_key(row.scan.record_id)
        file = None
        if row.raw is not None:
            file = book.files.by_number(partition, record, row.raw)
        if row.state is ScanState.COMPLETED:
            await book.write(partition, wanted, durable=True)
            await for_workflow.tell(book.tools, book.files, partition, wanted)
        elif row.state.final:
            await self._once_more(partition, wanted, file)
        elif file is None:
            await book.write(partition, wanted, durable=True)
        else:
            after, moved = await self._reconstruct(partition, wanted, file)
            await book.settle(partition, wanted, after, moved, by=mark, source=Source.PERSON)

    async def _once_more(self, partition: int, row: ScanRow, file: FileRow | None) -> None:
        """Send the raw data of a scan that failed to reconstruction again."""
        book = self._book
        await book.write(partition, row, durable=True)
        upstream = book.tools.settings.reco_dialect is RecoDialect.UPSTREAM
        if file is None or upstream:
            # A foreign worker says nothing on Kafka, and the image of an ended scan is not looked for.
            cause = f"the scan is {row.state}: it can't be reconstructed again"
            failed = ScanState.FAILED
            await for_workflow.tell(
                book.tools, book.files, partition, row, state=failed, cause=cause
            )
        else:
            await self._order(row, file, again=row.wanted)

    async def _go_on(
        self, partition: int, row: ScanRow, file: FileRow
    ) -> tuple[ScanRow, list[Announcement]]:
        """Go on with raw data: to reconstruction, unless a later task of its workflow does that."""
        if for_workflow.reconstructs(row):
            return await self._reconstruct(partition, row, file)
        gateway = self._book.tools.settings.gateway
        return decide.move(row, ScanState.ACQUIRED, self._book.now_ms(), gateway=gateway)

    async def _reconstruct(
        self, partition: int, row: ScanRow, file: FileRow
    ) -> tuple[ScanRow, list[Announcement]]:
        """Send the RecoJob of a raw data file; at the broker on return."""
        book, scan = self._book, row.scan
        settings = book.tools.settings
        row, announcements = decide.move(
            row, ScanState.ACQUIRED, book.now_ms(), gateway=settings.gateway
        )
        upstream = settings.reco_dialect is RecoDialect.UPSTREAM
        if upstream and not is_integer_id(scan.record_id):
            cause = "the reconstruction worker at hand takes integer record ids only"
            row, failed = decide.move(row, ScanState.FAILED, book.now_ms(), cause=cause)
            return row, announcements + failed
        await self._order(row, file)
        if upstream:
            # That worker says nothing on Kafka: its image is looked for where it puts it.
            due_ms = book.tools.clock.broker_ms() + LOOK_MS
            watch = WorkItem(kind=WorkKind.REGISTER, watch=True, due_ms=due_ms)
            record = record_key(scan.record_id)
            await book.work.put(partition, record, CONVENTIONAL, watch).durable()
        row, moved = decide.move(row, ScanState.RECONSTRUCTING, book.now_ms())
        return row, announcements + moved

    async def _order(self, row: ScanRow, file: FileRow, *, again: int | None = None) -> None:
        """Send a RecoJob; once more under another message-id, as consumers drop repeats."""
        scan = row.scan
        job = RecoJob(
            record_id=scan.record_id,
            input=file.location,
            reco_job_id=file.reco_job_id or "",
            request_id=scan.request_id,
            sha256=file.sha256,
            size=file.size,
            output_dir=f"records/{record_key(scan.record_id)}",
        )
        message_id = job.reco_job_id
        if again is not None:
            message_id = wire.make_id(job.reco_job_id, "again", again)
        headers = standard_headers(scan.request_id, message_id)
        key = record_key(scan.record_id).encode()
        await self._book.tools.outbox.deliver(wire.RECO_JOBS, key, job.to_bytes(), headers)


def registered(*files: FileRow, late: bool) -> Announcement:
    """Announce files that are in the table now; late ones came after the scan's end."""
    told = tuple(
        EventFile(location=file.location, size=file.size, sha256=file.sha256) for file in files
    )
    return Announcement(
        event=EventKind.LATE if late else EventKind.RESULT_REGISTERED,
        unique=",".join(file.sha256[:16] for file in files[:8]) + f"/{len(files)}",
        fields={"files": told, "count": len(files)},
    )


def conflict(file: FileRow, cause: str) -> Announcement:
    """Announce a file that does not agree with what stands; nothing is replaced."""
    told = EventFile(location=file.location, size=file.size, sha256=file.sha256)
    return Announcement(
        event=EventKind.CONFLICT, unique=file.sha256, fields={"files": (told,), "cause": cause}
    )


def _in_chunks(value: bytes | None) -> bool:
    try:
        body = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return False
    return isinstance(body, dict) and "location" not in body and bool(_CHUNKED & body.keys())
