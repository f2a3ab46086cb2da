"""What a scan job needs of the managers: the device's address, the sequence, a new record."""

import asyncio
from http import HTTPStatus
from typing import Final

from agents.device import decide
from agents.device.health import Health
from agents.device.saying import announce
from agents.device.state import RequestRow
from agents.tools import Announcement, Tools, record_key
from managers import Sequence
from models.errors import TransientError
from models.events import EventKind
from settings import RecordsDialect
from streams.eager import together
from streams.tables import Write

MOMENTARY: Final = frozenset({
    HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS,
})  # fmt: skip
"""Answers of a manager that is busy for a moment, or of the gateway before it."""
MOMENT_S: Final = 0.05


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
        if not any(writes) and managers.devices.kept(job.device_id) is not None:
            kept = managers.sequences.kept(job.sequence_id)
            if kept is not None:
                return kept
        outcomes = await together(
            self._health.ask(
                managers.sequences,
                subject,
                managers.sequences.retrieve_sequence(job.sequence_id),
            ),
            self._health.ask(
                managers.devices, subject, managers.devices.device_location_request(job.device_id)
            ),
            *(write.durable() for write in writes if write is not None),
        )
        # All have ended.
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for error in sorted(errors, key=lambda e: isinstance(e, TransientError)):
            raise error
        sequence = outcomes[0]
        assert isinstance(sequence, Sequence)  # noqa: S101 - for the type; errors were raised above
        return sequence

    async def find_or_make(self, row: RequestRow, *, fresh: bool) -> RequestRow:
        """Make the record; if it may have been begun before, look for it first and adopt it.

        A manager that answers with an error, as busy ones do now and then, is asked once more at once:
        a job that is parked for it holds up all behind it. Where the exam manager keeps no records,
        the job's id, which is its task's, is the record's. Gives the row with its record.

        Raises TransientError, PermanentError; LeftError where the worker stops.
        """
        if self._tools.settings.records is RecordsDialect.TASK:
            return row.model_copy(update={"record_id": row.job.job_id})
        try:
            return await self._find_or_make(row, fresh=fresh)
        except TransientError as error:
            if error.status not in MOMENTARY:
                raise
        await asyncio.sleep(MOMENT_S)
        # It may have made a record all the same: looked for first, and once more at the scan's end.
        return await self._find_or_make(
            row.model_copy(update={"attempt": row.attempt + 1}), fresh=False
        )

    async def _find_or_make(self, row: RequestRow, *, fresh: bool) -> RequestRow:
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
                return row.model_copy(update={"record_id": found.id})
        self._tools.go_on()
        self._tools.guard.check()
        making = exams.create_record(row.job.job_id, decide.record_comment(row))
        record = await self._health.ask(exams, row.request_id, making)
        return row.model_copy(update={"record_id": record.id})
