"""`confirm`: a person says whether a scan that is UNKNOWN was started."""

from typing import Any, Final

import click
from faust.cli import argument

from commands.ask import ask_state
from commands.base import CommandError, Context, Exit, PlainCommand, timeout_option
from commands.commanding import by_option, make_command, send_command, tell_answer
from commands.kafka import connect
from commands.status import record_argument
from commands.targets import Target
from models.events import ScanState
from models.results import ScanFacts
from models.scan import ScanCommand, ScanCommandKind

STARTED: Final = "started"
NOT_STARTED: Final = "not-started"


def add_confirm(app: Any, context: Context) -> None:
    """Add the command."""

    async def confirm(
        _: PlainCommand, record: str, what: str, by: str | None, limit_s: float
    ) -> Exit:
        """Settle a scan that is UNKNOWN.

        RECORD's scan was `started`, or it was `not-started`: then it is sent, once. Look at the
        scanner first. This is no emergency stop; the scanner's own button is.
        """
        answer = await ask_state(context, record, limit_s)
        if answer is None:
            raise CommandError(f"no answer within {limit_s:g} s (does a worker run?)", Exit.TIMEOUT)
        if answer.scan is None:
            raise CommandError(answer.reason or "no such scan is known", Exit.MISSING)
        command = command_for(record, answer.scan, started=what == STARTED, by=by)
        async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
            return tell_answer(await send_command(kafka, command))

    app.command(
        record_argument(),
        argument("what", type=click.Choice((STARTED, NOT_STARTED))),
        by_option(),
        timeout_option("Seconds for each answer."),
        base=PlainCommand,
    )(confirm)


def command_for(
    record: str, scan: ScanFacts, *, started: bool, by: str | None = None
) -> ScanCommand:
    """Make the command: for the attempt that the person saw as UNKNOWN, and for no later one.

    Raises CommandError if the scan is not UNKNOWN.
    """
    if scan.state is not ScanState.UNKNOWN or scan.device_id is None:
        raise CommandError(f"the scan is {scan.state}, not UNKNOWN: nothing was sent")
    return make_command(
        Target(device_id=scan.device_id, record_id=record),
        ScanCommandKind.CONFIRM,
        by,
        attempt=scan.attempt,
        started=started,
    )
