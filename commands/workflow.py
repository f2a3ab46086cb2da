"""`workflow`: starts, resumes or cancels a workflow, shows how far it is, and follows it to its end."""

import json as jsonlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import click
from faust.cli import argument, option
from pydantic import ValidationError

from commands.base import CommandError, Context, Exit, PlainCommand, timeout_option
from commands.kafka import Kafka, Message, connect
from commands.show import at_terminal, plain_pairs, printable, show_table
from commands.workflow_answers import (
    HEAD,
    advice,
    changes,
    code_of,
    end_code,
    ended,
    fact_rows,
    facts,
    line,
    may_be_older,
    task_rows,
)
from models import wire
from models.base import canonical
from models.workflow import WorkflowRequest, WorkflowRequestKind, WorkflowResponse
from streams.topics import partition_of

K = WorkflowRequestKind
Show = Callable[[WorkflowResponse | None, WorkflowResponse], None]


def add_workflow(app: Any, context: Context) -> None:
    """Add the command."""

    async def workflow(
        _: PlainCommand,
        *,
        workflow_id: str,
        start: bool,
        resume: bool,
        cancel: bool,
        watch: bool,
        json: bool,
        limit_s: float,
    ) -> Exit:
        """Show how far a workflow is.

        Of ID, at the exam manager. With an option it is started, resumed or cancelled before. This is
        no emergency stop; the scanner's own button is.
        """
        kind = kind_of(start=start, resume=resume, cancel=cancel)
        show = _shower(workflow_id, json=json)
        async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
            talk = Talk(kafka, workflow_id)
            answer = await talk.ask(kind)
            show(None, answer)
            if not json and (more := advice(kind, answer)) is not None:
                print(more, flush=True)
            code = code_of(kind, answer)
            if not watch or code is not Exit.GOOD:
                return code
            first = answer
            while not ended(answer):
                before, answer = answer, await talk.more()
                show(before, answer)
        if not json and at_terminal() and answer is not first:
            _show_whole(workflow_id, answer)
        return end_code(kind, answer)

    app.command(
        argument("workflow_id", metavar="ID", callback=check_id),
        option("--start", is_flag=True, help="Run it, from its first pending task to its end."),
        option("--resume", is_flag=True, help="Go on from the task that failed or was cancelled."),
        option("--cancel", is_flag=True, help="Start no more of its tasks, and cancel its scan."),
        option("--watch", is_flag=True, help="Show every change until it has ended."),
        option("--json", is_flag=True, help="One line of JSON for each answer."),
        timeout_option(
            "Seconds for an answer; with --watch asked for again after so much silence."
        ),
        base=PlainCommand,
    )(workflow)


def kind_of(*, start: bool, resume: bool, cancel: bool) -> WorkflowRequestKind:
    """Give what is asked. Raises click.UsageError for several things at once."""
    asked = {K.START: start, K.RESUME: resume, K.CANCEL: cancel}
    wanted = [kind for kind, given in asked.items() if given]
    if len(wanted) > 1:
        raise click.UsageError("one of --start, --resume and --cancel")
    return wanted[0] if wanted else K.STATUS


def check_id(_: Any, __: Any, value: str) -> str:
    """Take a workflow's id. Raises click.BadParameter."""
    try:
        return canonical(value)
    except ValueError:
        raise click.BadParameter("a workflow's id is a UUID or an integer") from None


class Talk:
    """Asks for one workflow, and hears what is said of it from the first question on."""

    def __init__(self, kafka: Kafka, workflow_id: str) -> None:
        self._kafka = kafka
        self._key = workflow_id
        self._heard: deque[WorkflowResponse] = deque()
        self._seen: set[str] = set()

    async def ask(self, kind: WorkflowRequestKind) -> WorkflowResponse:
        """Send a request and give its answer. Raises CommandError (TIMEOUT)."""
        count = await self._kafka.partitions(wire.WORKFLOW_RESPONSES)
        one = partition_of(self._key.encode(), count)
        await self._kafka.follow({wire.WORKFLOW_RESPONSES: one})
        await self._send(kind)
        until, asked_again = time.monotonic() + self._kafka.limit_s, False
        while (answer := await self._hear(until)) is not None:
            if not may_be_older(kind, answer):
                return answer
            if kind is K.RESUME:
                # What is asked now is answered after the first request was: both have one order.
                if asked_again:
                    return answer
                asked_again = True
                await self._send(K.STATUS)
        done = "" if kind is K.STATUS else ": it may still be done"
        raise self._silent(done)

    async def more(self) -> WorkflowResponse:
        """Give the next news; after a long silence it is asked. Raises CommandError (TIMEOUT)."""
        for asked in (False, True):
            if asked:
                await self._send(K.STATUS)
            answer = await self._hear(time.monotonic() + self._kafka.limit_s)
            if answer is not None:
                return answer
        raise self._silent("")

    async def _send(self, kind: WorkflowRequestKind) -> None:
        request = WorkflowRequest(workflow_id=self._key, type=kind)
        headers = ((wire.REQUEST_ID, str(uuid4()).encode()),)
        unsure = "it may have been taken; look at the state before you ask again"
        topic, key = wire.WORKFLOW_REQUESTS, self._key.encode()
        await self._kafka.post(topic, key, request.to_bytes(), headers, unsure=unsure)

    async def _hear(self, until: float) -> WorkflowResponse | None:
        """Give the next answer; None if there is none in time."""
        while not self._heard and (left := until - time.monotonic()) > 0:
            for message in await self._kafka.take(left):
                answer = self._read(message)
                if answer is not None:
                    self._heard.append(answer)
        return self._heard.popleft() if self._heard else None

    def _read(self, message: Message) -> WorkflowResponse | None:
        """Read an answer; None for what is of others, comes once more, or is none."""
        if message.key != self._key:
            return None
        try:
            answer = WorkflowResponse.from_bytes(message.value)
        except ValidationError:
            return None  # not one of ours: nobody has to understand it
        name = message.headers.get(wire.MESSAGE_ID)
        if name in self._seen or canonical(answer.workflow_id) != self._key:
            return None
        if name is not None:
            self._seen.add(name)
        return answer

    def _silent(self, done: str) -> CommandError:
        limit = f"{self._kafka.limit_s:g} s"
        return CommandError(f"no answer within {limit} (does a worker run?){done}", Exit.TIMEOUT)


def _shower(key: str, *, json: bool) -> Show:
    """Give how answers are shown: whole, or after the first one what changed."""

    def show(before: WorkflowResponse | None, answer: WorkflowResponse) -> None:
        if json:
            print(jsonlib.dumps(facts(key, answer)), flush=True)
        elif before is None:
            _show_whole(key, answer)
        else:
            for text in changes(before, answer):
                print(printable(text), flush=True)

    return show


def _show_whole(key: str, answer: WorkflowResponse) -> None:
    rows = task_rows(answer)
    if at_terminal():
        show_table(fact_rows(key, answer))
        if rows:
            used = [n for n in range(len(HEAD)) if any(row[n] for row in rows)]
            show_table([[row[n] for n in used] for row in rows], [HEAD[n] for n in used])
        return
    pairs = [*fact_rows(key, answer), *(("task", line(row)) for row in rows)]
    for text in plain_pairs(pairs):
        print(text, flush=True)
