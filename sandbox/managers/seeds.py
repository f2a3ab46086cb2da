"""What the sandbox itself puts into the managers: `POST /_sandbox/seed`, and the views for tests."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sandbox.managers.answers import Answer, as_json
from sandbox.managers.exam_records import default_job
from sandbox.managers.router import Call, Handler
from sandbox.managers.store import Row, Store, moment

EMPTY_SEQUENCE: Final = "# Pulseq sequence file\n\n[VERSION]\nmajor 1\nminor 4\nrevision 0\n"


class _Seed(BaseModel):
    """What all seeds share: further fields are kept and take the place of defaults."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    def row(self, **defaults: Any) -> Row:
        return defaults | self.model_dump(by_alias=True, mode="json")


class DeviceSeed(_Seed):
    """`datetime_updated` null makes GET of the device answer 500."""

    id: str = Field(min_length=1)
    ip_address: str


ObjectId = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{24}$", to_lower=True)]


class SequenceSeed(_Seed):
    """`file` null stands for a stored file that is not UTF-8."""

    id: ObjectId = Field(alias="_id")
    file: str | None = EMPTY_SEQUENCE


class JobSeed(_Seed):
    """A job that records may hang on."""

    id: int | UUID


class WorkflowSeed(_Seed):
    """A workflow; its tasks are seeded beside it."""

    id: UUID = Field(default_factory=uuid4)


class TaskSeed(_Seed):
    """A task of a workflow."""

    id: UUID = Field(default_factory=uuid4)
    workflow_id: UUID | None = None


class Seed(BaseModel):
    """Body of `POST /_sandbox/seed`: adds rows, or replaces those with the same id."""

    model_config = ConfigDict(extra="forbid")

    devices: list[DeviceSeed] = Field(default_factory=list)
    sequences: list[SequenceSeed] = Field(default_factory=list)
    jobs: list[JobSeed] = Field(default_factory=list)
    workflows: list[WorkflowSeed] = Field(default_factory=list)
    tasks: list[TaskSeed] = Field(default_factory=list)


class Reset(BaseModel):
    """Body of `POST /_sandbox/reset`: knobs always, what the managers know only when asked."""

    data: bool = False


def sow(store: Store, seed: Seed) -> None:
    """Put a seed's rows into the store, with a default for each field that the contracts name."""
    for device in seed.devices:
        store.put("devices", device.id, device.row(**_device_defaults()))
    for sequence in seed.sequences:
        store.put("sequences", sequence.id, sequence.row(**_sequence_defaults()))
    for job in seed.jobs:
        key: int | str = job.id if isinstance(job.id, int) else str(job.id)
        store.put("jobs", key, job.row(**default_job(key)))
    for workflow in seed.workflows:
        row = workflow.row(**_workflow_defaults())
        row.pop("tasks", None)  # so that the contract's example may be seeded as it is
        store.put("workflows", row["id"], row)
    for task in seed.tasks:
        store.put("tasks", task.id, task.row(**_task_defaults()))


def controls(store: Store) -> Mapping[tuple[str, str], Handler]:
    """Give the sandbox's own operations that all managers answer."""

    def seed(call: Call) -> Answer:
        sow(store, call.read(Seed))
        return as_json({"message": "seeded"})

    def records(_call: Call) -> Answer:
        return as_json(list(store.rows("records")))

    def reset(call: Call) -> Answer:
        if call.body and call.read(Reset).data:
            store.clear()
        return as_json({"message": "reset"})

    return {("POST", "seed"): seed, ("GET", "records"): records, ("POST", "reset"): reset}


def _device_defaults() -> Row:
    return {
        "name": "Simulated scanner",
        "manufacturer": "ScanHub sandbox",
        "modality": "MRI",
        "status": "connected",
        "site": None,
        "datetime_created": moment(),
        "datetime_updated": moment(),
    }


def _sequence_defaults() -> Row:
    return {
        "name": "sandbox",
        "description": None,
        "sequence_type": None,
        "created_at": moment(),
        "updated_at": moment(),
        "tags": None,
        "file_extension": ".seq",
    }


def _workflow_defaults() -> Row:
    return {
        "comment": None,
        "exam_id": None,
        "is_finished": False,
        "is_template": False,
        "is_frozen": False,
        "datetime_created": moment(),
        "datetime_updated": None,
    }


def _task_defaults() -> Row:
    return {
        "description": "",
        "type": "PROCESSING_TASK",
        "args": {},
        "artifacts": {},
        "destinations": {},
        "status": {"PENDING": "not started"},
        "is_template": False,
        "is_frozen": False,
        "datetime_created": moment(),
    }
