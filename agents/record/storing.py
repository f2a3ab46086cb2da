"""Background work of a record: files are copied and checked, the exam manager is told.

It takes longer than a slot of the window may be held, so its row is durable first; the outcome comes
back as a message on `record-steps`. Whoever owns the record then acts on it; a restart does it again.
"""

import re
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from agents.record.book import Book
from agents.record.state import ScanRow, WorkItem, WorkKind
from agents.tools import record_key, request_mark
from datalake import FileMissing, inspect_dicom
from models import wire
from models.errors import PermanentError, PoisonError, ScanHubError, TransientError
from models.results import ResultFile, ResultUpload
from models.steps import Failure, FoundFile, RecordStep, RecordStepKind
from models.wire import Cause

DICOM: Final = "application/dicom"
OCTETS: Final = "application/octet-stream"
_EXTENSION = re.compile(r"\.[a-z0-9]{1,8}")


class Done(NamedTuple):
    """What background work gives back."""

    files: tuple[FoundFile, ...] = ()
    spares: tuple[int | str, ...] = ()


class Storing:
    """Does a record's open work in the background."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def begin(self, partition: int, record: str, name: str, item: WorkItem) -> None:
        """Start a row's work, unless it is under way."""
        work = {
            WorkKind.COPY: self._copy,
            WorkKind.REGISTER: self._register,
            WorkKind.TELL: self._tell,
            WorkKind.TIDY: self._tidy,
        }.get(item.kind)
        if work is None:
            return
        row = self._book.scans.get(partition, record)
        if row is None:
            return

        def run() -> Coroutine[Any, Any, None]:
            return self._report(work(row, item), record, name, item)

        self._book.tools.files.submit(f"{partition}/{record}/{name}/{item.version}", run)

    async def _report(
        self,
        work: Coroutine[Any, Any, Done],
        record: str,
        name: str,
        item: WorkItem,
    ) -> None:
        done, failure = Done(), None
        try:
            done = await work
        except PoisonError as error:
            failure = Failure(sentence=str(error), cause=error.cause)
        except FileMissing as error:
            cause = None if item.watch else Cause.FILE_REFUSED
            failure = Failure(sentence=str(error), cause=cause, again=True)
        except TransientError as error:
            failure = Failure(sentence=str(error), again=True, counts=error.sent)
        except ScanHubError as error:
            failure = Failure(sentence=str(error), cause=Cause.FILE_REFUSED)
        told = item.kind in (WorkKind.TELL, WorkKind.TIDY)
        step = RecordStep(
            kind=RecordStepKind.TOLD if told else RecordStepKind.STORED,
            record_id=record,
            name=name,
            version=item.version,
            files=done.files,
            spares=done.spares,
            failure=failure,
        )
        await self._book.tools.outbox.deliver_step(wire.RECORD_STEPS, record, step.to_bytes())

    async def _copy(self, row: ScanRow, item: WorkItem) -> Done:
        if item.original is None:
            raise PermanentError("the row of an upload holds no message")
        upload = item.original.inbound().decode(ResultUpload)
        lake = self._book.tools.lake
        await lake.inspect_raw(upload.location)
        stored = await lake.take_in(
            record_key(row.scan.record_id),
            upload.location,
            size=upload.size,
            sha256=upload.sha256,
            suffix=f"raw{_extension(upload.location)}",
        )
        # Once more on our own copy: the sender may have changed its file in between.
        await lake.inspect_raw(stored.location)
        media_type = upload.media_type or OCTETS
        found = FoundFile(
            location=stored.location,
            size=stored.size,
            sha256=stored.sha256,
            media_type=media_type,
        )
        return Done(files=(found,))

    async def _register(self, row: ScanRow, item: WorkItem) -> Done:
        record = record_key(row.scan.record_id)
        lake = self._book.tools.lake
        found, uids = [], set()
        for file in item.files or await self._conventional(record):
            stored = await lake.take_in(
                record, file.location, size=file.size, sha256=file.sha256, suffix="image.dcm"
            )
            identity = await inspect_dicom(lake, stored.location)
            if identity.sop_instance_uid in uids:
                raise PoisonError("two files have one SOP Instance UID", Cause.FILE_REFUSED)
            uids.add(identity.sop_instance_uid)
            found.append(
                FoundFile(
                    location=stored.location,
                    size=stored.size,
                    sha256=stored.sha256,
                    media_type=DICOM,
                    sop_class_uid=identity.sop_class_uid,
                    sop_instance_uid=identity.sop_instance_uid,
                )
            )
        return Done(files=tuple(found))

    async def _conventional(self, record: str) -> tuple[ResultFile, ...]:
        found = await self._book.tools.lake.find_conventional(record)
        if found is None:
            raise FileMissing("no whole image lies at the conventional place")
        return (ResultFile(location=found.location, size=found.size, sha256=found.sha256),)

    async def _tell(self, row: ScanRow, item: WorkItem) -> Done:
        file, scan = item.files[0], row.scan
        await self._book.tools.managers.exams.update_record(
            scan.record_id,
            data_path=file.location,
            comment=told_comment(scan.request_id, scan.device_id),
        )
        return Done()

    async def _tidy(self, row: ScanRow, _: WorkItem) -> Done:
        """Close spare records of the same request: a worker that was thought dead may have made one.

        Deleted where the manager allows it, else marked in their comment; never used in any case.
        """
        exams, scan = self._book.tools.managers.exams, row.scan
        mark = request_mark(scan.request_id, scan.device_id)
        used = record_key(scan.record_id)
        spares = [
            record.id
            for record in await exams.list_records(scan.job_id)
            if mark in (record.comment or "") and record_key(record.id) != used
        ]
        for spare in spares:
            try:
                await exams.delete_record(spare)
            except PermanentError as error:
                if error.status != HTTPStatus.NOT_FOUND:  # else it is gone already
                    await exams.update_record(
                        spare, data_path=None, comment=f"Spare, never used: record {used} counts"
                    )
        return Done(spares=tuple(spares[:64]))


def told_comment(request_id: str, device_id: str) -> str:
    """Give a record's comment once it has its image; it still names the request."""
    return f"Created DICOM, {request_mark(request_id, device_id)}"


def _extension(location: str) -> str:
    """Keep the ending of a sender's file name, if it is a plain one; the name itself never."""
    dot = location.rfind(".")
    ending = location[dot:].lower() if dot > location.rfind("/") else ""
    return ending if _EXTENSION.fullmatch(ending) else ""
