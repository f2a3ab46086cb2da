"""`cancel`, `stop`, `pause`, `resume` for a scan; `hold` and `release` for a device or for a job."""

import sys
from typing import Any, Final

from commands.base import CommandError, Context, Exit, PlainCommand, timeout_option
from commands.commanding import ask_scan, by_option, make_command, send_command, tell_answer
from commands.kafka import Kafka, connect
from commands.show import printable
from commands.targets import Target, Typed, held_in, read_target, scan_in, target_options
from commands.work import read_work
from models.scan import ScanCommandKind

K = ScanCommandKind
TO_SCANS: Final = {
    "cancel": (
        K.CANCEL,
        "Cancel a scan.",
        "One at the scanner is cancelled only where it is UNKNOWN or OVERDUE.",
    ),
    "stop": (
        K.STOP,
        "Stop a scan, if it was not started.",
        "No device known takes it once the scan runs.",
    ),
    "pause": (
        K.PAUSE,
        "Hold a job until a person releases it.",
        "No device known takes it once the scan runs.",
    ),
    "resume": (K.RESUME, "Let a job go on that is HELD.", "It goes on whatever its age."),
}
TO_BOTH: Final = {
    "hold": (
        K.HOLD,
        "Put a device, or a job, on hold.",
        "WHAT is a device: its scan goes on, nothing more is started. Or a job that waits.",
    ),
    "release": (
        K.RELEASE,
        "Release a device, or a HELD job.",
        "WHAT is a device that is on hold; or a job: it goes on, whatever its age.",
    ),
}
NO_STOP: Final = "This is no emergency stop; the scanner's own button is."


def add_people(app: Any, context: Context) -> None:
    """Add the commands."""
    for name, (kind, text, more) in (TO_SCANS | TO_BOTH).items():
        what = "" if name in TO_BOTH else "X is its record or its request. "
        _add(app, context, name, kind, f"{text}\n\n{what}{more} {NO_STOP}")


def _add(app: Any, context: Context, name: str, kind: ScanCommandKind, text: str) -> None:
    both = name in TO_BOTH

    async def run(
        _: PlainCommand,
        *,
        what: str | None,
        record: str | None,
        request: str | None,
        device: str | None,
        by: str | None,
        limit_s: float,
    ) -> Exit:
        typed = read_target(what, record, request, device, devices_too=both)
        async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
            find = find_held if both else find_scan
            target = await find(kafka, context, typed)
            return tell_answer(await send_command(kafka, make_command(target, kind, by)))

    run.__name__ = name
    run.__qualname__ = name
    run.__doc__ = text
    app.command(
        *target_options("WHAT" if both else "X"),
        by_option(),
        timeout_option("Seconds for the answer."),
        base=PlainCommand,
    )(run)


async def find_scan(kafka: Kafka, context: Context, typed: Typed) -> Target:
    """Find a scan: one that waits or runs, else by its record. Raises CommandError."""
    found = scan_in(await read_work(kafka, context), typed)
    return found or await ask_scan(context, typed, kafka.limit_s)


async def find_held(kafka: Kafka, context: Context, typed: Typed) -> Target:
    """Find what is to be held or released; a name that is not known is taken for a device's.

    Raises CommandError.
    """
    found = held_in(await read_work(kafka, context), typed)
    if found is not None:
        return found
    try:
        if typed.what is None or typed.may_be_record:
            return await ask_scan(context, typed, kafka.limit_s)
    except CommandError as error:
        if typed.what is None or error.code is not Exit.MISSING:
            raise
    device = typed.what or ""
    # An idle device has no rows, so its name can't be checked: should it be a mistake, this tells.
    note = f"{device} is taken for a device: nothing waits or runs there, and no job has that name"
    print(printable(note), file=sys.stderr)
    return Target(device_id=device)
