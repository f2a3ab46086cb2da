"""Bodies that the managers take, after their contracts; read as leniently as there (pydantic 1)."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from models.managers import TaskStatus, TaskType


def _number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, bool | int | float) else value


Text = Annotated[str, BeforeValidator(_number_as_text)]
"""Numbers and booleans are turned to strings (3.5 -> "3.5", true -> "True"); objects are refused."""
TextMap = dict[str, Text]


class IntegerRecordIn(BaseModel):
    """POST record in the integer era: a string of digits is taken too."""

    data_path: Text | None = None
    comment: Text | None = None
    job_id: int


class UuidRecordIn(BaseModel):
    """POST record in the UUID era."""

    data_path: Text | None = None
    comment: Text | None = None
    job_id: UUID


class RecordChange(BaseModel):
    """PUT record: not validated, unknown keys are ignored, only the keys given are set."""

    data_path: Any = None
    comment: Any = None


class XYZ(BaseModel):
    """A vector, mm."""

    X: float
    Y: float
    Z: float


class SequenceParameters(BaseModel):
    """Field of view and its offset, mm."""

    fov: XYZ
    fov_offset: XYZ


class AcquisitionLimits(BaseModel):
    """What a job of the UUID era carries of its patient: cm, kg, years."""

    model_config = ConfigDict(hide_input_in_errors=True)

    patient_height: float
    patient_weight: float
    Gender: str | None = Field(default=None, pattern=r"^(MALE|FEMALE|OTHER|NOT_GIVEN)$")
    patient_age: int


class IntegerJobIn(BaseModel):
    """POST and PUT job in the integer era."""

    type: Text
    comment: Text | None = None
    procedure_id: int
    sequence_id: Text
    workflow_id: int | None = None
    device_id: Text


class UuidJobIn(BaseModel):
    """POST and PUT job in the UUID era."""

    type: Text
    comment: Text | None = None
    exam_id: UUID
    sequence_id: Text
    workflow_id: int | None = None
    device_id: Text
    acquisition_limits: AcquisitionLimits
    sequence_parameters: SequenceParameters


class WorkflowIn(BaseModel):
    """PUT workflow: all fields are written, one that is left out takes null."""

    comment: Text | None = None
    exam_id: UUID | None = None
    is_finished: bool
    is_template: bool
    is_frozen: bool


class TaskIn(BaseModel):
    """PUT task: a full replacement; without workflow_id the task leaves its workflow."""

    workflow_id: UUID | None = None
    description: Text
    type: TaskType
    args: TextMap
    artifacts: TextMap
    destinations: TextMap
    status: dict[TaskStatus, Text]
    is_template: bool
    is_frozen: bool


class TaskWithInputsIn(TaskIn):
    """PUT task where tasks declare their inputs: left out, it has none."""

    input_task_ids: list[UUID] = Field(default_factory=list)


class SequenceIn(BaseModel):
    """POST and PUT sequence."""

    name: Text
    description: Text | None = None
    sequence_type: Text | None = None
    tags: list[Text] | None = None
    file: str = ""
    file_extension: Text | None = None
