"""The states of a workflow and of a task: what goes where. Plain data, no I/O.

docs/workflows.md draws these tables; tests/unit/test_workflow_transitions.py compares the two, and takes
each way once.
"""

from collections.abc import Mapping
from typing import Final

from models.workflow import RunState, TaskState, WorkflowStatus

R = RunState
T = TaskState

RUNS: Final[Mapping[RunState, tuple[RunState, ...]]] = {
    R.WAITING: (R.RUNNING, R.COMPLETED, R.REFUSED, R.CANCELLED),
    R.REFUSED: (R.WAITING, R.RUNNING, R.COMPLETED),
    R.RUNNING: (R.COMPLETED, R.FAILED, R.CANCELLED),
    R.FAILED: (R.RUNNING, R.COMPLETED),
    R.CANCELLED: (R.RUNNING, R.COMPLETED),
    R.COMPLETED: (),
}
"""To COMPLETED at once: where nothing is left to be run."""

FIRST: Final = (R.WAITING, R.RUNNING, R.COMPLETED, R.REFUSED)
"""Where a workflow begins that was not known."""

TASKS: Final[Mapping[TaskState, tuple[TaskState, ...]]] = {
    T.PENDING: (T.IN_PROGRESS, T.COMPLETED),
    T.IN_PROGRESS: (T.COMPLETED, T.FAILED, T.CANCELLED, T.PENDING),
    T.FAILED: (T.PENDING, T.COMPLETED),
    T.CANCELLED: (T.PENDING, T.COMPLETED),
    T.COMPLETED: (),
}
"""A task that was cancelled is COMPLETED all the same where its scanner or service says so: what is done
need not be done again. One that failed, or waits, is where a person marked it so at the exam manager
before `resume`. From IN_PROGRESS back to PENDING: it failed and is tried again
(SCANHUB_TASK_RETRIES)."""

STATUS: Final[Mapping[RunState, WorkflowStatus]] = {
    R.WAITING: WorkflowStatus.RUNNING,
    R.RUNNING: WorkflowStatus.RUNNING,
    R.COMPLETED: WorkflowStatus.COMPLETED,
    R.FAILED: WorkflowStatus.FAILED,
    R.CANCELLED: WorkflowStatus.CANCELLED,
    R.REFUSED: WorkflowStatus.FAILED,
}
"""What a response says of a state; of a refused one it may say more (`WorkflowRow.told`)."""
