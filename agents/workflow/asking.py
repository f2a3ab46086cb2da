"""What must be known before a workflow starts: itself, its devices, sequences, topics and files.

Each is asked once, side by side, within one HTTP attempt's time: a handler holds its slot no longer.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from agents.device.health import Health
from agents.tools import Tools
from agents.workflow import check, order
from agents.workflow.check import Plan, Rules
from agents.workflow.dispatch import BrokerTopics
from agents.workflow.state import TaskKind, TaskRow, WorkflowRow
from models.base import RecordId, canonical
from models.errors import ScanHubError, TransientError
from models.workflow import TaskState

AT_ONCE: Final = 16
"""So many questions of one workflow are under way at a time."""
Ask = Callable[[], Awaitable[str | None]]
"""Asks something; gives what is wrong. Raises ScanHubError, whose sentence says it as well."""


class Asking:
    """Asks for one workflow at a time."""

    def __init__(self, tools: Tools, rules: Rules, topics: BrokerTopics, health: Health) -> None:
        self._tools = tools
        self._rules = rules
        self._topics = topics
        self._health = health

    async def plan(self, workflow_id: RecordId, known: WorkflowRow | None, *, resume: bool) -> Plan:
        """Read a workflow and plan its run, or give every reason against it.

        Raises TransientError (ask again later), PermanentError (status 404: there is no such one),
        LeftError where the worker stops.
        """
        exams, subject = self._tools.managers.exams, canonical(workflow_id)
        given = await self._health.ask(exams, subject, exams.get_workflow(workflow_id))
        plan = check.plan(given.workflow, known, self._rules, resume=resume)
        self._tools.go_on()
        reasons, away = await self._ask_others(subject, plan.tasks)
        if away is not None and not (plan.reasons or reasons):
            raise away
        if away is not None:
            reasons.append(f"more could not be checked: {away}")
        return plan._replace(reasons=check.bounded([*plan.reasons, *reasons]))

    async def _ask_others(
        self, subject: str, tasks: tuple[TaskRow, ...]
    ) -> tuple[list[str], TransientError | None]:
        """Ask who knows; give what is wrong, and an error if some could not be asked."""
        questions = self._questions(subject, tasks)
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(ask: Ask) -> str | TransientError | None:
            async with slots:
                try:
                    return await ask()
                except TransientError as error:
                    return error
                except ScanHubError as error:
                    return str(error)

        try:
            async with asyncio.timeout(self._tools.settings.http_timeout_s):
                answers = await asyncio.gather(*(one(ask) for _, ask in questions))
        except TimeoutError:
            return [], TransientError("the managers did not answer in time for all of its tasks")
        wrong, away = [], None
        for (who, _), answer in zip(questions, answers, strict=True):
            if isinstance(answer, TransientError):
                away = answer
            elif answer is not None:
                wrong += [f"task {key}: {answer}" for key in who]
        return wrong, away

    def _questions(self, subject: str, tasks: tuple[TaskRow, ...]) -> list[tuple[list[str], Ask]]:
        """Give what is to be asked, each once, with the tasks that need it."""
        devices: defaultdict[str, list[str]] = defaultdict(list)
        sequences: defaultdict[str, list[str]] = defaultdict(list)
        topics: defaultdict[str, list[str]] = defaultdict(list)
        files: defaultdict[str, list[str]] = defaultdict(list)
        for task in tasks:
            if task.state is not TaskState.PENDING:
                continue
            if task.kind is TaskKind.DEVICE:
                devices[task.device].append(task.key)
                sequences[task.args.get("sequence_id", "")].append(task.key)
            elif task.topic in self._rules.allowed:
                topics[task.topic].append(task.key)
            if check.needs_file(tasks, task):
                files[task.args.get(order.INPUT, "")].append(task.key)
        kinds = (
            (devices, self._device),
            (sequences, self._sequence),
            (topics, self._topic),
            (files, self._file),
        )
        return [
            (who, partial(ask, subject, name))
            for wanted, ask in kinds
            for name, who in wanted.items()
            if name  # what is missing was said before
        ]

    async def _device(self, subject: str, device_id: str) -> None:
        devices = self._tools.managers.devices
        await self._health.ask(devices, subject, devices.device_location_request(device_id))

    async def _sequence(self, subject: str, sequence_id: str) -> None:
        sequences = self._tools.managers.sequences
        await self._health.ask(sequences, subject, sequences.retrieve_sequence(sequence_id))

    async def _topic(self, _: str, topic: str) -> str | None:
        return f"topic {topic} does not exist" if await self._topics.missing([topic]) else None

    async def _file(self, _: str, location: str) -> str | None:
        try:
            await self._tools.lake.work_on(location, lambda *_: None)
        except TransientError:
            raise
        except ScanHubError:
            return "its input is not in the data lake, and no task produces it"
        return None
