"""Sends a command to a scan or a device, and waits for its one answer."""

import getpass
import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import click
from faust.cli import option
from pydantic import ValidationError

from commands.ask import ask_state
from commands.base import CommandError, Context, Exit
from commands.kafka import Kafka, Message
from commands.show import printable
from commands.work import read_work
from models import wire
from models.base import canonical
from models.events import EventKind, ScanEvent
from models.scan import ScanCommand, ScanCommandKind

TAKEN: Final = "taken:"
"""How the answer to a command that was carried out begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a command is for: a device, or a scan on it."""

    device_id: str
    record_id: str | None = None
    request_id: str | None = None


def by_option() -> Any:
    """Make the `--by` of a command."""
    return option("--by", default=None, help="Who asks; your login name if not given.")


def device_option() -> Any:
    """Make the `--device` of a command to a scan."""
    return option(
        "--device", "device", default=None, help="The request's device, if it is not found."
    )


async def find_scan(kafka: Kafka, context: Context, text: str, device: str | None) -> Target:
    """Find what a person typed: a request that waits or runs, else a record.

    Raises CommandError: usage if it is two things at once, missing if it is none.
    """
    found = [
        (name, entry)
        for name, entry in (await read_work(kafka, context)).find(text)
        if device in (None, name)
    ]
    if len(found) > 1:
        names = ", ".join(sorted(name for name, _ in found))
        raise CommandError(f"that request is on {names}: name one by --device", Exit.USAGE)
    if found:
        name, entry = found[0]
        at = entry.row.record_id
        known = None if at is None else canonical(at)
        return Target(device_id=name, record_id=known, request_id=entry.row.request_id)
    if device is not None:
        return Target(device_id=device, request_id=text)
    try:
        record = canonical(text)
    except ValueError:
        raise CommandError(
            "no such request waits or runs (one that has ended is named by its record, or with"
            " --device)",
            Exit.MISSING,
        ) from None
    answer = await ask_state(context, record, kafka.limit_s)
    if answer is None:
        raise CommandError("no answer in time (does a worker run?)", Exit.TIMEOUT)
    if answer.scan is None or answer.scan.device_id is None:
        raise CommandError(answer.reason or "no such scan is known", Exit.MISSING)
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
            by=by if by is not None else getpass.getuser(),
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
