"""`confirm`: a person says whether a scan that is UNKNOWN was started."""

import time
from typing import Any, Final
from uuid import uuid4

import click
from faust.cli import argument
from pydantic import ValidationError

from commands.ask import ask_state
from commands.base import CommandError, Context, Exit, PlainCommand, timeout_option
from commands.kafka import Message, connect
from commands.status import record_argument
from models import wire
from models.events import EventKind, ScanEvent, ScanState
from models.results import ScanFacts
from models.scan import ScanCommand, ScanCommandKind

STARTED: Final = "started"
NOT_STARTED: Final = "not-started"


def add_confirm(app: Any, context: Context) -> None:
    """Add the command."""

    async def confirm(_: PlainCommand, record: str, what: str, limit_s: float) -> Exit:
        """Settle RECORD's scan that is UNKNOWN: `started`, or `not-started` (it is sent, once).

        Look at the scanner first. This is no emergency stop; the scanner's own button is.
        """
        answer = await ask_state(context, record, limit_s)
        if answer is None:
            raise CommandError(f"no answer within {limit_s:g} s (does a worker run?)", Exit.TIMEOUT)
        if answer.scan is None:
            raise CommandError(answer.reason or "no such scan is known", Exit.MISSING)
        command = command_for(record, answer.scan, started=what == STARTED)
        event = await _send(context, record, command, limit_s)
        print(event.cause or "answered")
        return Exit.GOOD if event.state in (ScanState.STARTED, ScanState.READY) else Exit.ERROR

    app.command(
        record_argument(),
        argument("what", type=click.Choice((STARTED, NOT_STARTED))),
        timeout_option("Seconds for each answer."),
        base=PlainCommand,
    )(confirm)


def command_for(record: str, scan: ScanFacts, *, started: bool) -> ScanCommand:
    """Make the command: for the attempt that the person saw as UNKNOWN, and for no later one.

    Raises CommandError if the scan is not UNKNOWN.
    """
    if scan.state is not ScanState.UNKNOWN or scan.device_id is None:
        raise CommandError(f"the scan is {scan.state}, not UNKNOWN: nothing was sent")
    return ScanCommand(
        command_id=str(uuid4()),
        command=ScanCommandKind.CONFIRM,
        device_id=scan.device_id,
        record_id=record,
        attempt=scan.attempt,
        started=started,
    )


async def _send(context: Context, record: str, command: ScanCommand, limit_s: float) -> ScanEvent:
    """Send a command and wait for its answer. Raises CommandError (TIMEOUT)."""
    deadline = time.monotonic() + limit_s
    wanted = wire.make_id(record, EventKind.COMMAND_ANSWERED, command.command_id)
    async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
        await kafka.follow({wire.SCAN_EVENTS: None})
        await kafka.send(
            wire.SCAN_COMMANDS, command.device_id, command.to_bytes(), command.command_id
        )
        while (left := deadline - time.monotonic()) > 0:
            for message in await kafka.take(left):
                event = _answer(message, wanted)
                if event is not None:
                    return event
    raise CommandError(f"no answer within {limit_s:g} s: ask its status", Exit.TIMEOUT)


def _answer(message: Message, event_id: str) -> ScanEvent | None:
    if message.headers.get(wire.MESSAGE_ID) != event_id:
        return None
    try:
        return ScanEvent.from_bytes(message.value)
    except ValidationError:
        return None
