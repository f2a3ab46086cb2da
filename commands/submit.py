"""`submit`: sends scan jobs and, if told so, follows them to their end."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import click
from faust.cli import argument, option
from pydantic import TypeAdapter, ValidationError

from commands.ask import ask_state
from commands.base import CommandError, Context, Exit, PlainCommand, timeout_option
from commands.following import Followed, worst
from commands.jobs import read_jobs
from commands.kafka import Kafka, Message, connect
from commands.progress import Display, display
from models import wire
from models.base import RequestId
from models.events import ScanEvent
from models.scan import ScanJob

_REQUEST_ID: Final = TypeAdapter[str](RequestId)
_FOLLOWED: Final = {wire.SCAN_EVENTS: None, wire.DEAD_LETTERS: None}


def add_submit(app: Any, context: Context) -> None:
    """Add the command."""

    async def submit(
        _: PlainCommand, file: str, request_id: str | None, wait: bool, limit_s: float
    ) -> Exit:
        """Send scan jobs from FILE (- for stdin)."""
        jobs = read_jobs(await asyncio.to_thread(_read, file))
        if request_id is not None and len(jobs) > 1:
            raise click.UsageError("--request-id goes with one job, the input has several")
        followed = [Followed(request_id=request_id or str(uuid4()), job=job) for job in jobs]
        settings = context.settings
        async with connect(settings.kafka, context.topics, limit_s) as kafka:
            if wait:
                await kafka.follow(_FOLLOWED)
            for one in followed:
                # Said before it is sent: whoever has to send again needs it.
                print(f"request {one.request_id}", flush=True)
                await send_job(kafka, one.job, one.request_id)
            if not wait:
                return Exit.GOOD
            with display(followed) as shown:
                await _follow(context, kafka, followed, shown, limit_s)
        for one in followed:
            if one.code is None:
                print(_not_ended(one, limit_s), file=sys.stderr)
        return worst(followed)

    app.command(
        argument("file"),
        option(
            "--request-id",
            callback=_check_request_id,
            help="The idempotency key, 1 to 128 of A-Z a-z 0-9 . _ : - (default: a new one);"
            " a job that is sent again with the same one is not done twice.",
        ),
        option("--wait", is_flag=True, help="Follow the scans until each has ended."),
        timeout_option("Seconds for the broker, and with --wait for the scans."),
        base=PlainCommand,
    )(submit)


async def send_job(kafka: Kafka, job: ScanJob, request_id: str) -> None:
    """Send a scan job; the broker has it on return."""
    await kafka.send(wire.SCAN_JOBS, job.device_id, job.to_bytes(), request_id)


async def _follow(
    context: Context, kafka: Kafka, followed: list[Followed], shown: Display, limit_s: float
) -> None:
    """Show what happens until all jobs have ended or the time is over."""
    until = time.monotonic() + limit_s
    shown.update()
    while any(one.code is None for one in followed) and (left := until - time.monotonic()) > 0:
        for message in await kafka.take(left):
            for one in followed:
                shown.say(one, _take(one, message))
        for one in followed:
            if one.ask_state and one.record is not None:
                one.ask_state = False
                answer = await ask_state(context, one.record, max(until - time.monotonic(), 0.1))
                shown.say(one, one.take_answer(answer) if answer else None)
        shown.update()


def _take(one: Followed, message: Message) -> str | None:
    if message.topic == wire.DEAD_LETTERS:
        return one.take_dead_letter(message.key, dict(message.headers))
    try:
        event = ScanEvent.from_bytes(message.value)
    except ValidationError:
        return None  # not one of ours: nobody has to understand it
    return one.take(event, message.key)


def _not_ended(one: Followed, limit_s: float) -> str:
    """Say what is known of a scan that did not end in time."""
    state = f"it is {one.state}" if one.state else "nothing was heard of it (does a worker run?)"
    more = f"; `faust -A faust_app status {one.record}` shows it" if one.record else ""
    return f"request {one.request_id} did not end within {limit_s:g} s, {state}{more}"


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"the input can't be read: {error.strerror}") from None


def _check_request_id(_: Any, __: Any, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return _REQUEST_ID.validate_python(value)
    except ValidationError:
        raise click.BadParameter("1 to 128 of A-Z a-z 0-9 . _ : -") from None
