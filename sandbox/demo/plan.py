"""What is to be scanned: which job on which device, with which sequence. No patient is real."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from models.scan import XYZ, AcquisitionLimits, Gender, ScanJob, SequenceParameters

MATRICES: Final = (64, 96, 128, 160, 192, 256)
"""Each sequence has a size of its own, so that an image from the wrong sequence is noticed."""

_FIRST_JOB: Final = 101
_LIMITS: Final = AcquisitionLimits(
    patient_height=175.0, patient_weight=70.0, gender=Gender.NOT_GIVEN, patient_age=40
)
_PARAMETERS: Final = SequenceParameters(
    fov=XYZ(X=240.0, Y=240.0, Z=5.0), fov_offset=XYZ(X=0.0, Y=0.0, Z=0.0)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One scan as it is asked for. `request_id` is its name until it has a record."""

    request_id: str
    job_id: int
    device_id: str
    matrix: int

    @property
    def sequence_id(self) -> str:
        """The sequence manager's id: 24 hex digits."""
        return f"{self.matrix:024x}"

    @property
    def job(self) -> ScanJob:
        """The message that starts it all."""
        return ScanJob(
            job_id=self.job_id,
            sequence_id=self.sequence_id,
            device_id=self.device_id,
            acquisition_limits=_LIMITS,
            sequence_parameters=_PARAMETERS,
        )

    @property
    def sequence(self) -> Mapping[str, Any]:
        """The sequence as the sequence manager is furnished with it."""
        return {
            "_id": self.sequence_id,
            "name": f"demo {self.matrix}",
            "file": (
                "# Pulseq sequence file\n\n[VERSION]\nmajor 1\nminor 4\nrevision 0\n\n"
                f"[DEFINITIONS]\nName demo\nMatrix {self.matrix} {self.matrix}\n"
            ),
        }


def make_plan(devices: int, jobs: int) -> tuple[Planned, ...]:
    """Spread jobs over devices, in turn."""
    return tuple(
        Planned(
            request_id=f"demo-{number + 1}",
            job_id=_FIRST_JOB + number,
            device_id=f"mri-{number % devices + 1}",
            matrix=MATRICES[number % len(MATRICES)],
        )
        for number in range(jobs)
    )
