"""Exam manager, record eras: jobs and their records, with integer ids or with UUIDs.

Contract: exam-manager.openapi.json, tags `records` and `jobs`.
"""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID, uuid4

from sandbox.managers.answers import (
    NO_CONTENT,
    SERVER_ERROR,
    Answer,
    RefusedError,
    as_json,
    detail,
    not_valid,
)
from sandbox.managers.bodies import (
    IntegerJobIn,
    IntegerRecordIn,
    RecordChange,
    UuidJobIn,
    UuidRecordIn,
)
from sandbox.managers.router import Call, Route
from sandbox.managers.store import Row, Store, moment

NO_RECORD: Final = detail(404, "Record not found")
NO_JOB: Final = detail(404, "Job not found")

Id = int | str


def integer_id(text: str) -> Id:
    """Read an id of the integer era; anything else is 422."""
    try:
        return int(text)
    except ValueError:
        raise RefusedError(not_valid("value is not a valid integer", "path", "id")) from None


def uuid_id(text: str) -> Id:
    """Read a UUID; anything else makes the real service fall over: 500, not 422."""
    try:
        return str(UUID(text))
    except ValueError:
        raise RefusedError(SERVER_ERROR) from None


class Records:
    """Jobs and records of one era. With `any_job`, every job id that could be one is known."""

    def __init__(self, store: Store, *, uuids: bool, any_job: bool) -> None:
        self._store = store
        self._uuids = uuids
        self._any_job = any_job
        self._id: Callable[[str], Id] = uuid_id if uuids else integer_id

    def routes(self) -> list[Route]:
        """Give the operations; only PUT of a record has a slash at its end."""
        base = "/api/v1/exam"
        return [
            Route("POST", f"{base}/record", self.create),
            Route("GET", f"{base}/record/{{record_id}}", self.get),
            Route("DELETE", f"{base}/record/{{record_id}}", self.delete),
            Route("PUT", f"{base}/record/{{record_id}}/", self.update),
            Route("GET", f"{base}/record/all/{{job_id}}", self.list),
            Route("POST", f"{base}/job", self.create_job),
            Route("GET", f"{base}/job/{{job_id}}", self.get_job),
            Route("PUT", f"{base}/job/{{job_id}}", self.update_job),
            Route("DELETE", f"{base}/job/{{job_id}}", self.delete_job),
            Route("GET", f"{base}/job/all/{{parent_id}}", self.list_jobs),
        ]

    def create(self, call: Call) -> Answer:
        """Make a record. Not idempotent: each call makes one more."""
        wanted: UuidRecordIn | IntegerRecordIn = (
            call.read(UuidRecordIn) if self._uuids else call.read(IntegerRecordIn)
        )
        job_id: Id = str(wanted.job_id) if isinstance(wanted.job_id, UUID) else wanted.job_id
        if self._job(job_id) is None:
            return SERVER_ERROR  # a foreign key that does not hold
        record_id: Id = str(uuid4()) if self._uuids else self._store.next_id("records")
        row: Row = {
            "data_path": wanted.data_path,
            "comment": wanted.comment,
            "id": record_id,
            "datetime_created": moment(),
            "job_id": job_id,
        }
        self._store.put("records", record_id, row)
        return as_json(_record_out(row), 201)

    def get(self, call: Call) -> Answer:
        """Give a record."""
        return as_json(_record_out(self._record(call)))

    def update(self, call: Call) -> Answer:
        """Set the keys given. In the UUID era this fails on every record that exists."""
        change = call.read(RecordChange)
        row = self._record(call)
        if self._uuids:
            return SERVER_ERROR
        given = {key: getattr(change, key) for key in change.model_fields_set}
        if any(isinstance(value, dict | list) for value in given.values()):
            return SERVER_ERROR  # the database takes no such value
        given = {key: None if v is None else str(v) for key, v in given.items()}
        row = row | given
        self._store.put("records", row["id"], row)
        return as_json(_record_out(row))

    def delete(self, call: Call) -> Answer:
        """Remove a record."""
        self._store.delete("records", self._record(call)["id"])
        return NO_CONTENT

    def list(self, call: Call) -> Answer:
        """Give a job's records; an unknown job has none."""
        job_id = self._id(call.params["job_id"])
        return as_json([_record_out(row) for row in self._store.records_of(job_id)])

    def create_job(self, call: Call) -> Answer:
        """Make a job."""
        wanted = call.read(UuidJobIn if self._uuids else IntegerJobIn)
        job_id: Id = str(uuid4()) if self._uuids else self._store.next_id("jobs")
        row = new_job(wanted.model_dump(mode="json"), job_id)
        self._store.put("jobs", job_id, row)
        return as_json(self._job_out(row), 201)

    def get_job(self, call: Call) -> Answer:
        """Give a job with its records."""
        return as_json(self._job_out(self._known_job(call)))

    def update_job(self, call: Call) -> Answer:
        """Replace a job's fields."""
        wanted = call.read(UuidJobIn if self._uuids else IntegerJobIn)
        row = self._known_job(call) | wanted.model_dump(mode="json")
        row["datetime_updated"] = moment()
        self._store.put("jobs", row["id"], row)
        return as_json(self._job_out(row))

    def delete_job(self, call: Call) -> Answer:
        """Remove a job."""
        self._store.delete("jobs", self._known_job(call)["id"])
        return NO_CONTENT

    def list_jobs(self, call: Call) -> Answer:
        """Give the jobs of a procedure (integer era) or of an exam (UUID era)."""
        parent = self._id(call.params["parent_id"])
        key = "exam_id" if self._uuids else "procedure_id"
        jobs = [row for row in self._store.rows("jobs") if row.get(key) == parent]
        return as_json([self._job_out(row) for row in jobs])

    def _record(self, call: Call) -> Row:
        row = self._store.get("records", self._id(call.params["record_id"]))
        if row is None:
            raise RefusedError(NO_RECORD)
        return row

    def _known_job(self, call: Call) -> Row:
        row = self._job(self._id(call.params["job_id"]))
        if row is None:
            raise RefusedError(NO_JOB)
        return row

    def _job(self, job_id: Id) -> Row | None:
        row = self._store.get("jobs", job_id)
        if row is None and self._any_job and (isinstance(job_id, str) or job_id >= 1):
            return default_job(job_id)
        return row

    def _job_out(self, row: Row) -> Row:
        return row | {"records": [_record_out(r) for r in self._store.records_of(row["id"])]}


def new_job(fields: dict[str, Any], job_id: Id) -> Row:
    """Give a job as it is stored."""
    return fields | {
        "id": job_id,
        "is_acquired": False,
        "device": None,
        "workflow": None,
        "datetime_created": moment(),
        "datetime_updated": None,
    }


def default_job(job_id: Id) -> Row:
    """Give a job that is known only by its id, in the form of the id's era."""
    fields: dict[str, Any] = {"type": "MRI", "comment": None, "sequence_id": "", "device_id": ""}
    fields["workflow_id"] = None
    if isinstance(job_id, int):
        return new_job(fields | {"procedure_id": 1}, job_id)
    zero = {"X": 0.0, "Y": 0.0, "Z": 0.0}
    made_up = {
        "exam_id": str(UUID(int=0)),
        "acquisition_limits": {
            "patient_height": 170.0,
            "patient_weight": 70.0,
            "Gender": "NOT_GIVEN",
            "patient_age": 40,
        },
        "sequence_parameters": {"fov": {"X": 200.0, "Y": 200.0, "Z": 5.0}, "fov_offset": zero},
    }
    return new_job(fields | made_up, job_id)


def _record_out(row: Row) -> Row:
    """Give a record as it is answered: it does not repeat job_id."""
    return {key: row[key] for key in ("data_path", "comment", "id", "datetime_created")}
