"""Who is in the story: four jobs and an urgent one for one scanner. No patient is real."""

from dataclasses import dataclass
from typing import Final

from models.events import ScanState
from models.scan import ScanJob
from sandbox.demo.plan import Planned

DEVICE: Final = "mri-1"
FIRST, SECOND, THIRD, FOURTH, URGENT = "job-1", "job-2", "job-3", "job-4", "urgent"
"""Request ids: what a person types for a job that has no record yet."""

PRIORITY: Final = 100
ENDS: Final = {
    FIRST: ScanState.COMPLETED,
    SECOND: ScanState.COMPLETED,
    THIRD: ScanState.CANCELLED,
    FOURTH: ScanState.COMPLETED,
    URGENT: ScanState.COMPLETED,
}
"""How each is to end."""
ORDER: Final = (FIRST, URGENT, SECOND, FOURTH)
"""In which order the scanner is to take them."""

PLAN: Final = {
    name: Planned(request_id=name, job_id=201 + number, device_id=DEVICE, matrix=128)
    for number, name in enumerate(ENDS)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things take, seconds."""

    scan_s: float = 6.0
    first_scan_s: float = 15.0
    """Longer than the others, at least: meanwhile the queue forms, and the commands are typed."""
    off_s: float = 8.0
    away_s: float = 30.0
    answer_s: float = 60.0
    """How long a person has to answer."""


def job_of(name: str) -> ScanJob:
    """Give a job as it is submitted."""
    job = PLAN[name].job
    return job.model_copy(update={"priority": PRIORITY}) if name == URGENT else job
