"""Downloads: whoever asks gets a record's image, raw data or state on `result-chunks`.

This agent only reads. A request is acknowledged at once and served by bounded background tasks, of
which copies know nothing: they have a pool of their own. A requester that sees no end asks again.
"""

from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from agents.record.files import RecordFiles
from agents.record.state import FileKind, FileRow, ScanRow
from agents.tools import Pool, Tools, record_key
from datalake import Found
from models import wire
from models.errors import PoisonError, ScanHubError
from models.results import (
    AnswerEnd,
    AnswerMetadata,
    AnswerStatus,
    FileFacts,
    ResultRequest,
    ScanFacts,
    What,
)
from models.steps import RecordStep, RecordStepKind
from streams.inbound import Inbound
from streams.intake import is_in_place, reroute
from streams.outbox import standard_headers
from streams.tables import DurableTable

TOPICS = (wire.RESULT_REQUESTS,)
MOST_WAITING: Final = 500
"""Requests under way; one more is refused, and says so."""
MOST_FILES_TOLD: Final = 256
"""Files of a record that an answer to `state` lists."""


class Downloads:
    """Answers ResultRequests; `owns` tells whether a partition's rows can be read here, now."""

    def __init__(
        self,
        tools: Tools,
        scans: DurableTable[ScanRow],
        files: RecordFiles,
        pool: Pool,
        owns: Callable[[int], bool],
    ) -> None:
        self._tools = tools
        self._scans = scans
        self._files = files
        self._pool = pool
        self._owns = owns

    async def handle(self, inbound: Inbound) -> None:
        """Settle one request."""
        await self._tools.settle(inbound, self.download_result)

    async def download_result(self, inbound: Inbound) -> None:
        """Begin to serve a request; an answer comes in any case, also for what is missing."""
        request = inbound.decode(ResultRequest)
        owner = record_key(request.record_id)
        if not is_in_place(inbound, owner, self._tools.partitions):
            await reroute(inbound, owner, self._tools.partitions, self._tools.outbox)
            return
        partition = inbound.partition
        if len(self._pool) >= MOST_WAITING:
            await self._answer(
                request, AnswerStatus.REFUSED, reason="too many downloads wait: ask again later"
            )
            return

        async def serve() -> None:
            await self._serve(partition, request)

        self._pool.submit(f"serve/{request.request_id}/{inbound.here}", serve)

    async def _serve(self, partition: int, request: ResultRequest) -> None:
        if not self._owns(partition):
            # It waited over a rebalance. An empty table would answer "missing", as if it were so;
            # nobody answers, the requester asks again, and the owner serves it.
            return
        record = record_key(request.record_id)
        row = self._scans.get(partition, record)
        if row is None:
            await self._answer(request, AnswerStatus.MISSING, reason="no such record is known")
            return
        scan = self._facts(partition, row, whole=request.what is What.STATE)
        if request.what is What.STATE:
            await self._answer(request, AnswerStatus.OK, scan=scan)
            return
        try:
            file = await self.get_image_file(partition, row, request)
            if file is None:
                reason = f"the record has no such {request.what} yet"
                await self._answer(request, AnswerStatus.MISSING, scan=scan, reason=reason)
                return
            status = await self._tools.lake.check(file.location, size=file.size, sha256=file.sha256)
            if status is not AnswerStatus.OK:
                reason = f"the stored file is {status}"
                await self._answer(request, status, scan=scan, reason=reason)
                return
            await self._send_file(request, scan, file)
        except PoisonError as error:
            await self._answer(request, AnswerStatus.CORRUPT, scan=scan, reason=str(error))
        except ScanHubError as error:
            await self._answer(request, AnswerStatus.REFUSED, scan=scan, reason=str(error))

    async def get_image_file(
        self, partition: int, row: ScanRow, request: ResultRequest
    ) -> FileRow | None:
        """Find the file that a request means: the newest image, the one of a UID, or raw data.

        An image that a foreign reconstruction worker wrote at the conventional place without saying
        so is found as well, and its record's aggregate is told to take it in.
        """
        record = record_key(row.scan.record_id)
        if request.what is What.RAW:
            return None if row.raw is None else self._files.by_number(partition, record, row.raw)
        if request.sop_instance_uid is not None:
            return self._files.by_sop_instance(partition, record, request.sop_instance_uid)
        for number in reversed(range(row.files)):
            file = self._files.by_number(partition, record, number)
            if file is not None and file.kind is FileKind.IMAGE:
                return file
        found = await self._tools.lake.find_conventional(record)
        if found is None:
            return None
        step = RecordStep(kind=RecordStepKind.NOTICED, record_id=row.scan.record_id)
        await self._tools.outbox.deliver_step(wire.RECORD_STEPS, record, step.to_bytes())
        return _conventional(found)

    async def _send_file(self, request: ResultRequest, scan: ScanFacts, file: FileRow) -> None:
        chunks = -(-file.size // wire.CHUNK_SIZE)
        await self._part(request, "metadata", self._metadata(
            request, AnswerStatus.OK, scan=scan, file=_facts(file), chunks=chunks
        ).to_bytes())  # fmt: skip
        whole, offset = sha256(), 0
        async with aclosing(self._tools.lake.get_data_from_file(file.location)) as data:
            index = 0
            async for chunk in data:
                whole.update(chunk)
                extra = {
                    wire.CHUNK_INDEX: str(index),
                    wire.CHUNK_OFFSET: str(offset),
                    wire.CHUNK_SHA256: sha256(chunk).hexdigest(),
                }
                await self._part(request, "chunk", chunk, extra)
                offset += len(chunk)
                index += 1
        # Of what was read: a requester that counts along sees a file that changed in between.
        end = AnswerEnd(sha256=whole.hexdigest(), size=offset)
        await self._part(request, "end", end.to_bytes())

    async def _answer(
        self,
        request: ResultRequest,
        status: AnswerStatus,
        *,
        scan: ScanFacts | None = None,
        reason: str | None = None,
    ) -> None:
        metadata = self._metadata(request, status, scan=scan, reason=reason)
        await self._part(request, "metadata", metadata.to_bytes())
        end = AnswerEnd(sha256=sha256().hexdigest(), size=0)
        await self._part(request, "end", end.to_bytes())

    @staticmethod
    def _metadata(
        request: ResultRequest,
        status: AnswerStatus,
        *,
        scan: ScanFacts | None = None,
        file: FileFacts | None = None,
        reason: str | None = None,
        chunks: int = 0,
    ) -> AnswerMetadata:
        return AnswerMetadata(
            request_id=request.request_id,
            record_id=request.record_id,
            status=status,
            reason=reason,
            scan=scan,
            file=file,
            chunks=chunks,
            chunk_size=wire.CHUNK_SIZE,
        )

    async def _part(
        self, request: ResultRequest, part: str, value: bytes, extra: dict[str, str] | None = None
    ) -> None:
        """Send one part; the broker has it on return, so a large file never fills the memory."""
        message_id = wire.make_id(request.request_id, part, (extra or {}).get(wire.CHUNK_INDEX, 0))
        headers = standard_headers(request.request_id, message_id)
        headers.append((wire.PART, part.encode()))
        headers += [(name, text.encode()) for name, text in (extra or {}).items()]
        key = request.request_id.encode()
        await self._tools.outbox.deliver(wire.RESULT_CHUNKS, key, value, headers)

    def _facts(self, partition: int, row: ScanRow, *, whole: bool) -> ScanFacts:
        record = record_key(row.scan.record_id)
        count = min(row.files, MOST_FILES_TOLD) if whole else 0
        times = {
            str(state).lower(): datetime.fromtimestamp(ms / 1000, UTC)
            for state, ms in row.times.items()
        }
        return ScanFacts(
            state=row.state,
            device_id=row.scan.device_id,
            job_id=row.scan.job_id,
            request_id=row.scan.request_id,
            percent=row.percent,
            attempt=row.attempt,
            cause=row.cause,
            advice=row.advice,
            overdue=(row.overdue and not row.state.final) or None,
            times=times if whole else {},
            files=tuple(_facts(file) for file in self._files.all(partition, record, count)),
        )


def _facts(file: FileRow) -> FileFacts:
    return FileFacts(
        name=file.location.rpartition("/")[2],
        size=file.size,
        sha256=file.sha256,
        media_type=file.media_type,
        sop_instance_uid=file.sop_instance_uid,
        location=file.location,
    )


def _conventional(found: Found) -> FileRow:
    return FileRow(
        kind=FileKind.IMAGE,
        number=0,
        location=found.location,
        size=found.size,
        sha256=found.sha256,
        media_type="application/dicom",
        sop_class_uid=found.identity.sop_class_uid,
        sop_instance_uid=found.identity.sop_instance_uid,
    )
