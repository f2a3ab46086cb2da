"""What all parties saw of each workflow, put together by its plan. No I/O."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from models import wire
from models.base import canonical
from sandbox.chaos.facts import Key, Line, Message
from sandbox.chaos.flows.plan import Flow

MOST_ATTEMPTS: Final = 64
"""More often no task of a run is tried."""


@dataclass(kw_only=True)
class Facts:
    """One workflow. Lists are by time; the service's and the scans' topics are told apart by task."""

    flow: Flow
    requests: list[Message] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)
    """Repeats dropped by their message-id, as every consumer should."""
    jobs: list[Message] = field(default_factory=list)
    """Its ScanJobs."""
    wanted: list[Message] = field(default_factory=list)
    """Orders to reconstruct, at its scan's record."""
    events: list[Message] = field(default_factory=list)
    """Its TaskEvents."""
    reports: list[Message] = field(default_factory=list)
    """What its service reported."""

    @property
    def last(self) -> Mapping[str, Any]:
        """The last answer."""
        return self.answers[-1].json if self.answers else {"status": "nothing", "tasks": []}

    @property
    def tasks(self) -> list[Mapping[str, Any]]:
        """Its tasks by the last answer, in their order."""
        return list(self.last["tasks"])

    def request_ids(self, number: int) -> list[str]:
        """Give the request ids that attempts of a task have, the first one first."""
        name = f"task/{self.flow.tasks[number]}"
        return [wire.make_id(self.flow.id, name, n) for n in range(1, MOST_ATTEMPTS + 1)]

    def scans(self) -> list[Key]:
        """Give the (device, request id) of its scans."""
        found = dict.fromkeys(request_of(job) for job in self.jobs)
        return [(self.flow.device, request) for request in found]

    def succeeded(self) -> bool:
        """Tell whether its service reported a success."""
        return any(success(report.json) for report in self.reports)


def request_of(message: Message) -> str:
    """Give the request id of a job or a TaskEvent."""
    return message.headers.get(wire.REQUEST_ID, b"").decode()


def success(report: Line) -> bool:
    """Tell a report of success, in either form, from one of failure."""
    status = report.get("status")
    return status == "COMPLETED" if status is not None else bool(report.get("success"))


def gather(flows: Iterable[Flow], messages: Sequence[Message]) -> dict[str, Facts]:
    """Give what there is of each workflow, by its id."""
    found = {flow.id: Facts(flow=flow) for flow in flows}
    of_task = {task: facts for facts in found.values() for task in facts.flow.tasks}
    if not found:
        return found
    told: defaultdict[str, set[str]] = defaultdict(set)
    for message in sorted(messages, key=lambda one: (one.ms, one.partition, one.offset)):
        facts = _whose(message, found, of_task)
        if facts is None:
            continue
        name = message.headers.get(wire.MESSAGE_ID, b"").decode()
        if message.topic == wire.WORKFLOW_REQUESTS:
            name = message.mark  # it stands there twice where it was moved to its partition
        if message.topic in (wire.WORKFLOW_RESPONSES, wire.WORKFLOW_REQUESTS):
            if name in told[facts.flow.id]:
                continue
            told[facts.flow.id].add(name)
        _LISTS[message.topic](facts).append(message)
    for (
        facts
    ) in found.values():  # all of one are on one partition: its order counts, not the clocks
        facts.answers.sort(key=lambda one: one.offset)
    return found


_LISTS: Final[Mapping[str, Any]] = {
    wire.WORKFLOW_REQUESTS: lambda facts: facts.requests,
    wire.WORKFLOW_RESPONSES: lambda facts: facts.answers,
    wire.SCAN_JOBS: lambda facts: facts.jobs,
    wire.RECORD_STEPS: lambda facts: facts.wanted,
    wire.TASK_EVENTS: lambda facts: facts.events,
    wire.TASK_COMPLETIONS: lambda facts: facts.reports,
}


def _whose(
    message: Message, flows: Mapping[str, Facts], of_task: Mapping[str, Facts]
) -> Facts | None:
    """Give the workflow that a message is of, if it is of one, and says something of it."""
    topic = message.topic
    if topic not in _LISTS or message.mark.startswith(("good-", "bad-")):
        return None
    body = message.json
    if topic in (wire.TASK_EVENTS, wire.TASK_COMPLETIONS):
        return of_task.get(str(body.get("task_id")))
    if topic == wire.RECORD_STEPS and body.get("kind") != "reconstruct":
        return None
    workflow = body.get("workflow_id")
    return None if workflow is None else flows.get(canonical(workflow))
