"""A scan on its way to the device: the job, the device's task, its status, commands."""

import math
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from models.base import (
    Count,
    DeviceId,
    FreeText,
    Measure,
    Message,
    RecordId,
    RequestId,
    Time,
    parse_json_text,
)

# Promise 10: outside of these nothing is sent (1.78 is metres, and no device may guess).
HEIGHT_CM = (20.0, 260.0)
WEIGHT_KG = (0.3, 400.0)
AGE_YEARS = (0, 130)


class Gender(StrEnum):
    """Contract messages.md section 5."""

    MALE = "MALE"
    FEMALE = "FEMALE"
    OTHER = "OTHER"
    NOT_GIVEN = "NOT_GIVEN"


class Command(StrEnum):
    """What a DeviceTask orders; upstream sends START only."""

    START = "START"
    STOP = "STOP"
    PAUSE = "PAUSE"


class XYZ(Message):
    """A vector in mm; the capital letters are the contract's."""

    X: Measure
    Y: Measure
    Z: Measure

    def finite(self) -> bool:
        """Tell whether all three are numbers that a device can take."""
        return all(math.isfinite(v) for v in (self.X, self.Y, self.Z))


class AcquisitionLimits(Message):
    """The patient's data that limit the acquisition: cm, kg, years. Never in a log (promise 8)."""

    patient_height: Measure
    patient_weight: Measure
    # Only the capital key counts; `patient_gender` is ignored (messages.md section 2).
    gender: Gender | None = Field(default=None, alias="Gender")
    patient_age: Count

    def problem(self) -> str | None:
        """Say what lies outside of promise 10's ranges, without the value; None if nothing does."""
        if not HEIGHT_CM[0] <= self.patient_height <= HEIGHT_CM[1]:
            return "patient_height is outside of 20 to 260 cm"
        if not WEIGHT_KG[0] <= self.patient_weight <= WEIGHT_KG[1]:
            return "patient_weight is outside of 0.3 to 400 kg"
        if not AGE_YEARS[0] <= self.patient_age <= AGE_YEARS[1]:
            return "patient_age is outside of 0 to 130 years"
        return None


class SequenceParameters(Message):
    """Field of view and its offset, mm."""

    fov: XYZ
    fov_offset: XYZ

    def problem(self) -> str | None:
        """Say what no scanner can take; None if all is well."""
        if not (self.fov.finite() and self.fov_offset.finite()):
            return "sequence_parameters holds a number that is not finite"
        if min(self.fov.X, self.fov.Y, self.fov.Z) <= 0:
            return "the field of view must be greater than 0"
        return None


class ScanJob(Message):
    """A scan that somebody wants (contract messages.md section 2)."""

    job_id: RecordId = Field(
        validation_alias=AliasChoices("id", "job_id"), serialization_alias="id"
    )
    sequence_id: str = Field(min_length=1, max_length=128)
    workflow_id: RecordId | None = None
    device_id: DeviceId
    acquisition_limits: AcquisitionLimits | None = None
    sequence_parameters: SequenceParameters | None = None
    task_id: RecordId | None = None
    priority: int = Field(default=0, ge=-1000, le=1000)
    reconstruct: bool | None = None
    """False: its raw data wait for a later task of its workflow; None counts as true."""

    def problem(self) -> str | None:
        """Say why this job must not be sent to any scanner (promise 10); None if it may."""
        for part in (self.acquisition_limits, self.sequence_parameters):
            if part is not None and (problem := part.problem()) is not None:
                return problem
        return None


SequenceObject = Annotated[dict[str, Any], BeforeValidator(parse_json_text)]
"""The sequence manager's whole answer; on the wire an object, or JSON text (messages.md 2)."""


class ParametrizedSequence(Message):
    """What a DeviceTask carries; the device's dialect `task` needs all three."""

    acquisition_limits: AcquisitionLimits | None
    sequence_parameters: SequenceParameters | None
    sequence: SequenceObject


class DeviceTask(Message):
    """An order to a device (contract device.openapi.json)."""

    device_id: DeviceId
    record_id: RecordId
    command: Command
    parametrized_sequence: ParametrizedSequence


class ScanRequest(Message):
    """The body of 2023, which both real device programs take: the sequence as JSON text."""

    record_id: RecordId
    sequence: str


class StatusState(StrEnum):
    """What a device says of a scan."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    ABORTED = "ABORTED"


class ScanStatus(Message):
    """A device's report on a scan; `message` may hold anything and never goes into an event."""

    record_id: RecordId
    status_percent: int = Field(ge=0, le=100)
    device_id: DeviceId | None = None
    state: StatusState | None = None
    message: FreeText | None = None
    at: Time | None = None


class ScanCommandKind(StrEnum):
    """What a person or a program may ask of a scan or a device."""

    STOP = "STOP"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    CANCEL = "CANCEL"
    CONFIRM = "CONFIRM"
    HOLD = "HOLD"
    RELEASE = "RELEASE"


class ScanCommand(Message):
    """A command to a scan or a device. No emergency stop: that is the scanner's own button."""

    command_id: RequestId
    command: ScanCommandKind
    device_id: DeviceId
    record_id: RecordId | None = None
    scan_request_id: RequestId | None = None
    attempt: int | None = Field(default=None, ge=0)
    started: bool | None = None
    by: str | None = Field(default=None, max_length=128)
    reason: FreeText | None = None

    @model_validator(mode="after")
    def _confirm_is_whole(self) -> Self:
        if self.command is ScanCommandKind.CONFIRM and self.started is None:
            raise ValueError("CONFIRM needs `started`")
        return self
