"""Two workflows as a person writes them at the exam manager: scan, reconstruct, denoise.

The first is the contracts' example, with topics that exist here. No patient is real.
"""

from typing import Any, Final, NamedTuple

from models import wire
from models.managers import TaskType
from sandbox.demo.plan import Planned

DEVICE: Final = "mri-0001"
DENOISE: Final = "mri_denoise"
_EXAM: Final = "0b7c2f7e-6a39-4a86-9a0e-2f0c1d5e8b11"
_SCAN: Final = Planned(request_id="", job_id=0, device_id=DEVICE, matrix=128)
SEQUENCE: Final = _SCAN.sequence


class Plan(NamedTuple):
    """A workflow's ids: its own, and those of its tasks in their order."""

    id: str
    scan: str
    reconstruction: str
    denoising: str

    @property
    def tasks(self) -> tuple[str, str, str]:
        """Its tasks in the order in which they are to run."""
        return self.scan, self.reconstruction, self.denoising


FIRST: Final = Plan(
    "6f1f9a52-0d8c-4a58-9c11-6f2f7f0a1c55",
    "c6c69955-7430-43ba-9083-5784dad2e56c",
    "727efbac-bd12-4367-b2e4-a66bf14df663",
    "e03d154f-020a-4489-a4e4-0ee5bf700a28",
)
SECOND: Final = Plan(
    "2b0d5c11-7f3e-4a7c-8d52-91f4b6a3e801",
    "5a4f0c7d-1f0b-4f35-b1f5-0c5f4bb1d102",
    "9a1f6a0e-64b7-4c39-9f0d-3f6f4c1b7a03",
    "d7c1b2aa-3c55-4e0b-8a44-6f0e5d9c2b04",
)
"""Its denoising fails the first time."""
PLANS: Final = (FIRST, SECOND)


def seeds() -> dict[str, list[dict[str, Any]]]:
    """Give both workflows and their tasks as the exam manager is furnished with them."""
    return {
        "workflows": [
            {
                "id": plan.id,
                "comment": "scan, reconstruct, denoise",
                "exam_id": _EXAM,
                "is_finished": False,
                "is_template": False,
                "is_frozen": False,
            }
            for plan in PLANS
        ],
        "tasks": [task for plan in PLANS for task in _tasks(plan)],
    }


def _tasks(plan: Plan) -> list[dict[str, Any]]:
    job = _SCAN.job
    assert job.acquisition_limits is not None  # noqa: S101 - the plan has them
    assert job.sequence_parameters is not None  # noqa: S101
    scan = {
        "workflow_id": plan.id,
        "sequence_id": str(job.sequence_id),
        "acquisition_limits": job.acquisition_limits.model_dump_json(by_alias=True),
        "sequence_parameters": job.sequence_parameters.model_dump_json(by_alias=True),
    }
    # What a task is given at first are placeholders: the tasks before it say what it is.
    given = {"record_id": "42", "input": "records/42/record-42.dcm"}
    rows = (
        (plan.scan, TaskType.DEVICE_TASK, "Acquire", {"device": DEVICE}, scan),
        (
            plan.reconstruction,
            TaskType.PROCESSING_TASK,
            "Reconstruct",
            {"topic": wire.RECO_JOBS},
            given,
        ),
        (
            plan.denoising,
            TaskType.CERTIFIED_PROCESSING_TASK,
            "Certified denoising",
            {"topic": DENOISE},
            given,
        ),
    )
    return [
        {
            "id": task,
            "workflow_id": plan.id,
            "description": what,
            "type": str(kind),
            "args": args,
            "artifacts": {},
            "destinations": place,
            "status": {"PENDING": "not started"},
            "is_template": False,
            "is_frozen": False,
            "datetime_created": f"2024-07-21T13:52:{55 + number}.146764",
        }
        for number, (task, kind, what, place, args) in enumerate(rows)
    ]
