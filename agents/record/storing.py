"""Background work of a record: files are copied and checked, the exam manager is told.

It takes longer than a slot of the window may be held, so its row is durable first; the outcome comes
back as a message on `record-steps`. Whoever owns the record then acts on it; a restart does it again.
"""

import re
from collections.abc import Coroutine
from typing import Any, Final

from agents.record.book import Book
from agents.record.state import WorkItem, WorkKind
from agents.tools import request_mark
from datalake import FileMissing, inspect_dicom
from models import wire
from models.errors import PermanentError, PoisonError, ScanHubError, TransientError
from models.results import ResultFile, ResultUpload
from models.steps import Failure, FoundFile, RecordStep, RecordStepKind
from models.wire import Cause

DICOM: Final = "application/dicom"
OCTETS: Final = "application/octet-stream"
_EXTENSION = re.compile(r"\.[a-z0-9]{1,8}")


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
        }.get(item.kind)
        if work is None:
            return

        def run() -> Coroutine[Any, Any, None]:
            return self._report(work(record, item), record, name, item)

        self._book.tools.files.submit(f"{partition}/{record}/{name}/{item.version}", run)

    async def _report(
        self,
        work: Coroutine[Any, Any, tuple[FoundFile, ...]],
        record: str,
        name: str,
        item: WorkItem,
    ) -> None:
        files: tuple[FoundFile, ...] = ()
        failure = None
        try:
            files = await work
        except PoisonError as error:
            failure = Failure(sentence=str(error), cause=error.cause)
        except FileMissing as error:
            failure = Failure(sentence=str(error), cause=Cause.FILE_REFUSED, again=True)
        except TransientError as error:
            failure = Failure(sentence=str(error), again=True)
        except ScanHubError as error:
            failure = Failure(sentence=str(error), cause=Cause.FILE_REFUSED)
        told = item.kind is WorkKind.TELL
        step = RecordStep(
            kind=RecordStepKind.TOLD if told else RecordStepKind.STORED,
            record_id=record,
            name=name,
            version=item.version,
            files=files,
            failure=failure,
        )
        await self._book.tools.outbox.deliver_step(wire.RECORD_STEPS, record, step.to_bytes())

    async def _copy(self, record: str, item: WorkItem) -> tuple[FoundFile, ...]:
        if item.original is None:
            raise PermanentError("the row of an upload holds no message")
        upload = item.original.inbound().decode(ResultUpload)
        lake = self._book.tools.lake
        await lake.inspect_raw(upload.location)
        stored = await lake.take_in(
            record,
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
        return (found,)

    async def _register(self, record: str, item: WorkItem) -> tuple[FoundFile, ...]:
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
        return tuple(found)

    async def _conventional(self, record: str) -> tuple[ResultFile, ...]:
        found = await self._book.tools.lake.find_conventional(record)
        if found is None:
            raise FileMissing("no whole image lies at the conventional place")
        return (ResultFile(location=found.location, size=found.size, sha256=found.sha256),)

    async def _tell(self, record: str, item: WorkItem) -> tuple[FoundFile, ...]:
        file = item.files[0]
        await self._book.tools.managers.exams.update_record(
            record, data_path=file.location, comment=item.cause
        )
        return ()


def told_comment(request_id: str, device_id: str) -> str:
    """Give a record's comment once it has its image; it still names the request."""
    return f"Created DICOM, {request_mark(request_id, device_id)}"


def _extension(location: str) -> str:
    """Keep the ending of a sender's file name, if it is a plain one; the name itself never."""
    dot = location.rfind(".")
    ending = location[dot:].lower() if dot > location.rfind("/") else ""
    return ending if _EXTENSION.fullmatch(ending) else ""
