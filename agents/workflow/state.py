"""What a workflow's aggregate remembers: its run with the tasks, and its open work."""

from enum import StrEnum
from typing import Final

from pydantic import Field

from agents.record.state import Original
from models.base import Message, RecordId, canonical
from models.managers import TaskStatus, TaskType
from models.work import WorkRow
from models.workflow import RunState, TaskState, TextMap, WorkflowStatus

MOST_TASKS: Final = 256
"""Tasks of one workflow; with more it is refused."""
MOST_BYTES: Final = 1024 * 1024
"""Of a workflow's row as it starts; a changelog's record takes 4 MiB."""
MOST_GROWN: Final = 2 * MOST_BYTES
"""Of a row with what its tasks produced."""
MOST_MARKS: Final = 8
MOST_NOTES: Final = 32


class TaskKind(StrEnum):
    """Who does a task."""

    DEVICE = "device"
    RECONSTRUCTION = "reconstruction"  # through the record of the scan before it, never a TaskEvent
    SERVICE = "service"  # whoever reads the topic that it names


class TaskRow(Message):
    """A task, as we run it; what the exam manager says of it may be older."""

    id: RecordId
    type: TaskType
    kind: TaskKind
    created: str = ""
    args: TextMap = Field(default_factory=dict)
    device: str = ""
    topic: str = ""
    inputs: tuple[str, ...] | None = None
    """Ids of the tasks whose results it needs; None: of all before it."""
    state: TaskState = TaskState.PENDING
    attempt: int = 0
    """How often it was dispatched."""
    tries: int = 0
    """How often since a person started or resumed the workflow."""
    born_ms: int = 0
    """Broker time of what led to the last dispatch: nothing starts late by itself (promise 9)."""
    reconstruct: bool = True
    """For a device's task: whether the scan has its own reconstruction; False: a later task does it."""
    record_id: RecordId | None = None
    artifacts: TextMap = Field(default_factory=dict)
    """What it produced."""
    cause: str | None = None
    ended_by: tuple[str, ...] = ()
    """Marks of the last messages that ended an attempt: the same one again ends no other."""

    @property
    def key(self) -> str:
        """Give the canonical text of its id."""
        return canonical(self.id)

    @property
    def certified(self) -> bool:
        """Whether it is one of the CERTIFIED_* types."""
        return self.type in (TaskType.CERTIFIED_DEVICE_TASK, TaskType.CERTIFIED_PROCESSING_TASK)


class ActKind(StrEnum):
    """What follows from a change of a workflow."""

    DISPATCH = "dispatch"
    CANCEL = "cancel"  # the task's scan; what becomes of it the scan decides
    TELL = "tell"  # the exam manager: a task's status
    FINISH = "finish"  # the exam manager: the workflow is finished
    RESPOND = "respond"


class Act(Message):
    """One thing that is to be done because of a change; done again after a crash, with the same ids."""

    kind: ActKind
    task: str = ""
    status: TaskStatus | None = None
    text: str = ""


class WorkflowRow(Message):
    """A workflow's run.

    `acts` are what follows from its last change. They are done after the row is durable, and struck off
    then; who comes next finds what a crash left, and does it first.
    """

    id: RecordId
    state: RunState
    tasks: tuple[TaskRow, ...] = ()
    """In their order."""
    told: WorkflowStatus | None = None
    """Of a refused one: what is answered instead of `failed`."""
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    version: int = 0
    at_ms: int = 0
    """Wall time of the last change, for people."""
    changed_ms: int = 0
    """Broker time of the newest message that changed it: its age, when it ended."""
    acts: tuple[Act, ...] = ()
    taken: tuple[str, ...] = ()
    """Marks of the last requests that changed it: the same one again changes nothing."""

    def task(self, task_id: RecordId | str) -> TaskRow | None:
        """Find a task."""
        wanted = canonical(task_id)
        return next((task for task in self.tasks if task.key == wanted), None)

    def with_task(self, changed: TaskRow) -> "WorkflowRow":
        """Give the row with one task changed."""
        tasks = tuple(changed if task.key == changed.key else task for task in self.tasks)
        return self.model_copy(update={"tasks": tasks})


class WorkKind(StrEnum):
    """Kinds of a workflow's open work; each name begins with its kind."""

    READ = "read"  # it is to be read at the exam manager, and checked, before it starts or goes on
    TELL = "tell"  # the exam manager is to be told, one after the other in the order of the names
    LATE = "late"  # a service's task may take so long, then that is announced
    ROUTE = "route"  # a completion whose workflow is to be asked for; its owner is the task


class WorkItem(WorkRow):
    """A row of a workflow's open work."""

    kind: WorkKind
    original: Original | None = None
    resume: bool = False
    mark: str = ""
    born_ms: int = 0
    act: Act | None = None
    attempt: int = 0
    """For LATE: of the task."""
    tries: int = 0
    faults: int = 0
    """How often a manager that is well failed for this alone."""
