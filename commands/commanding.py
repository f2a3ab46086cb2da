"""Sends a command to a scan or a device, and waits for its one answer."""

import getpass
import time
from typing import Any, Final
from uuid import uuid4

import click
from faust.cli import option
from pydantic import ValidationError

from commands.ask import ask_state
from commands.base import CommandError, Context, Exit
from commands.kafka import Kafka, Message
from commands.show import printable
from commands.targets import UNKNOWN, Target, Typed
from models import wire
from models.events import EventKind, ScanEvent
from models.scan import ScanCommand, ScanCommandKind

TAKEN: Final = "taken:"
"""How the answer to a command that was carried out begins."""
MOST_BY: Final = 128


def by_option() -> Any:
    """Make the `--by` of a command."""
    return option(
        "--by", default=None, callback=check_by, help="Who asks; your login name if not given."
    )


def check_by(_: Any, __: Any, value: str | None) -> str | None:
    """Take a name of bounded length. Raises click.BadParameter."""
    if value is not None and len(value) > MOST_BY:
        raise click.BadParameter(f"at most {MOST_BY} characters")
    return value


def login_name() -> str | None:
    """Give the name of whoever is logged in; None where there is none, as in some containers."""
    try:
        return getpass.getuser()[:MOST_BY]
    except (OSError, KeyError):
        return None


async def ask_scan(context: Context, typed: Typed, limit_s: float) -> Target:
    """Find a scan that is in no queue, by its record. Raises CommandError."""
    record = typed.may_be_record
    if record is None:
        raise CommandError(UNKNOWN, Exit.MISSING)
    answer = await ask_state(context, record, limit_s)
    if answer is None:
        raise CommandError(f"{UNKNOWN}; no worker answers for a record of that name", Exit.TIMEOUT)
    if answer.scan is None or answer.scan.device_id is None:
        raise CommandError(UNKNOWN, Exit.MISSING)
    return Target(
        device_id=answer.scan.device_id, record_id=record, request_id=answer.scan.request_id
    )


def make_command(
    target: Target, kind: ScanCommandKind, by: str | None, **fields: Any
) -> ScanCommand:
    """Make a command of a new id. Raises CommandError for a name that no device can have."""
    try:
        return ScanCommand(
            command_id=str(uuid4()),
            command=kind,
            device_id=target.device_id,
            record_id=target.record_id,
            scan_request_id=target.request_id,
            by=login_name() if by is None else by,
            **fields,
        )
    except ValidationError:
        raise click.BadParameter("not the name of a device, a record or a request") from None


async def send_command(kafka: Kafka, command: ScanCommand) -> ScanEvent:
    """Send a command and wait for its answer. Raises CommandError (TIMEOUT)."""
    deadline = time.monotonic() + kafka.limit_s
    await kafka.follow({wire.SCAN_EVENTS: None})
    await kafka.send(wire.SCAN_COMMANDS, command.device_id, command.to_bytes(), command.command_id)
    while (left := deadline - time.monotonic()) > 0:
        for message in await kafka.take(left):
            event = _answer(message, command.command_id)
            if event is not None:
                return event
    raise CommandError(
        f"no answer within {kafka.limit_s:g} s (does a worker run?): it may still be carried out",
        Exit.TIMEOUT,
    )


def tell_answer(event: ScanEvent) -> Exit:
    """Print a command's answer; gives the exit code: 0 if it was carried out."""
    cause = event.cause or "answered"
    print(printable(cause))
    if event.advice:
        print(printable(event.advice))
    return Exit.GOOD if cause.startswith(TAKEN) else Exit.ERROR


def _answer(message: Message, command_id: str) -> ScanEvent | None:
    try:
        event = ScanEvent.from_bytes(message.value)
    except ValidationError:
        return None
    answers = event.event is EventKind.COMMAND_ANSWERED and event.command_id == command_id
    return event if answers else None
