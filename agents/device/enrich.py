"""What a scan job needs of the managers: the device's address, the sequence, a new record."""

import asyncio

from agents.device import decide
from agents.device.health import Health
from agents.device.saying import announce
from agents.device.state import RequestRow
from agents.tools import Announcement, Tools, record_key
from managers import Sequence
from models.errors import TransientError
from models.events import EventKind
from models.managers import Record
from settings import RecordsDialect
from streams.tables import Write


class Enricher:
    """Asks the managers for one job at a time."""

    def __init__(self, tools: Tools, health: Health) -> None:
        self._tools = tools
        self._health = health

    async def enrich(self, row: RequestRow, *writes: Write | None) -> Sequence:
        """Get the sequence, and see that the device is known; beside it, what was written gets durable.

        Raises TransientError, PermanentError: a final answer counts more than one that may change.
        """
        managers = self._tools.managers
        subject, job = row.request_id, row.job
        outcomes = await asyncio.gather(
            self._health.ask(
                managers.sequences,
                subject,
                managers.sequences.retrieve_sequence(job.sequence_id),
            ),
            self._health.ask(
                managers.devices, subject, managers.devices.device_location_request(job.device_id)
            ),
            *(write.durable() for write in writes if write is not None),
            return_exceptions=True,
        )
        # All have ended.
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for error in sorted(errors, key=lambda e: isinstance(e, TransientError)):
            raise error
        sequence = outcomes[0]
        assert isinstance(sequence, Sequence)  # noqa: S101 - for the type; errors were raised above
        return sequence

    async def find_or_make(self, row: RequestRow, *, fresh: bool) -> Record:
        """Make the record; if it may have been begun before, look for it first and adopt it.

        Where the exam manager keeps no records, the job's id, which is its task's, is the record's.
        Raises TransientError, PermanentError; LeftError where the worker stops.
        """
        if self._tools.settings.records is RecordsDialect.TASK:
            return Record(id=row.job.job_id)
        exams = self._tools.managers.exams
        if not fresh:
            self._tools.go_on()
            listed = self._health.ask(exams, row.request_id, exams.list_records(row.job.job_id))
            found = decide.pick_record(await listed, row)
            if found is not None:
                adopted = Announcement(
                    event=EventKind.ADOPTED,
                    unique=record_key(found.id),
                    fields={"record_id": found.id, "attempt": row.attempt},
                )
                await announce(self._tools, row, [adopted])
                return found
        self._tools.go_on()
        self._tools.guard.check()
        making = exams.create_record(row.job.job_id, decide.record_comment(row))
        return await self._health.ask(exams, row.request_id, making)
