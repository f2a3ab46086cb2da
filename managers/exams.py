"""The exam manager: a scan's record (contract exam-manager.openapi.json, the record eras).

Its workflows and tasks are in managers/workflows.py.
"""

from typing import Final

from pydantic import TypeAdapter

from managers.client import Question
from managers.workflows import WorkflowManager
from models.base import canonical
from models.errors import PermanentError
from models.managers import Record, RecordIn, RecordUpdate

LIST_MOST: Final = 4 * 1024 * 1024
"""Bytes of a list of records: some ten thousand records of one job."""

_RECORDS: Final = "/api/v1/exam/record"
_ONE: Final = TypeAdapter(Record)
_MANY: Final = TypeAdapter(list[Record])

_NO_RECORDS: Final = "keeps no records, set SCANHUB_RECORDS=task"
_NO_SUCH: Final = {404: "knows no such record"}


def _segment(an_id: int | str, of: str = "record") -> str:
    try:
        return canonical(an_id)
    except ValueError:
        raise PermanentError(f"the {of}'s id is neither an integer nor a UUID") from None


class ExamManager(WorkflowManager):
    """Keeps records of scans, or workflows and their tasks: which of them depends on its era."""

    async def create_record(self, job_id: int | str, comment: str) -> Record:
        """Make a record. Not idempotent, and never repeated here: each call makes another.

        Raises TransientError, whose `sent` says whether a record may have been made (also when
        the answer could not be read), PermanentError.
        """
        question = Question(
            method="POST",
            path=_RECORDS,
            asked="to make a record",
            body=RecordIn(data_path="unknown", comment=comment, job_id=str(job_id)).to_bytes(),
            good=frozenset({200, 201}),
            says={404: _NO_RECORDS, 405: _NO_RECORDS},
        )
        return self._parse(_ONE, await self._ask(question), question.asked)

    async def list_records(self, job_id: int | str) -> list[Record]:
        """Give all records of a job, in no defined order. Raises TransientError, PermanentError."""
        question = Question(
            method="GET",
            path=f"{_RECORDS}/all/{_segment(job_id, 'job')}",
            asked="for a job's records",
            most=LIST_MOST,
            says={404: _NO_RECORDS, 405: _NO_RECORDS},
        )
        return self._parse(_MANY, await self._ask(question), question.asked)

    async def get_record(self, record_id: int | str) -> Record:
        """Give a record. Raises TransientError, PermanentError."""
        question = Question(
            method="GET",
            path=f"{_RECORDS}/{_segment(record_id)}",
            asked="for a record",
            says=_NO_SUCH,
        )
        return self._parse(_ONE, await self._ask(question), question.asked)

    async def update_record(
        self, record_id: int | str, *, data_path: str | None, comment: str | None = None
    ) -> None:
        """Set a record's data_path and comment; what is None stays as it is.

        The answer's text is read and dropped. Raises TransientError (managers of the UUID era
        answer 500 to every call), PermanentError (404 or 405: managers without records).
        """
        question = Question(
            method="PUT",
            # The slash at the end is the contract's: without it 405.
            path=f"{_RECORDS}/{_segment(record_id)}/",
            asked="to update a record",
            body=RecordUpdate(data_path=data_path, comment=comment).to_bytes(),
            good=frozenset({200, 204}),
            says=_NO_SUCH,
        )
        await self._ask(question)

    async def delete_record(self, record_id: int | str) -> None:
        """Delete a record. Raises TransientError, PermanentError (404: there is none)."""
        question = Question(
            method="DELETE",
            path=f"{_RECORDS}/{_segment(record_id)}",
            asked="to delete a record",
            good=frozenset({200, 204}),
            says=_NO_SUCH,
        )
        await self._ask(question)
