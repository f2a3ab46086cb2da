"""`cancel`, `stop`, `pause`, `resume` for a scan, `hold` and `release` for a device or a held job."""

from typing import Any, Final

from faust.cli import argument

from commands.base import CommandError, Context, Exit, PlainCommand, timeout_option
from commands.commanding import (
    Target,
    by_option,
    device_option,
    find_scan,
    make_command,
    send_command,
    tell_answer,
)
from commands.kafka import Kafka, connect
from commands.work import read_work
from models.scan import ScanCommandKind

K = ScanCommandKind
TO_SCANS: Final = {
    "cancel": (K.CANCEL, "Cancel a scan."),
    "stop": (K.STOP, "Stop a scan, if it was not started."),
    "pause": (K.PAUSE, "Hold a job until a person releases it."),
    "resume": (K.RESUME, "Let a job go on that is HELD."),
}
MORE: Final = {
    "cancel": "One at the scanner is cancelled only where it is UNKNOWN or OVERDUE.",
    "stop": "No device known takes it once the scan runs.",
    "pause": "No device known takes it once the scan runs.",
    "resume": "It goes on whatever its age.",
}
NO_STOP: Final = "This is no emergency stop; the scanner's own button is."


def add_people(app: Any, context: Context) -> None:
    """Add the commands."""
    for name, (kind, text) in TO_SCANS.items():
        _add_to_scan(app, context, name, kind, text)

    async def hold(_: PlainCommand, device: str, by: str | None, limit_s: float) -> Exit:
        """Put a device on hold.

        Its scan goes on, and nothing more is started on DEVICE until it is released.
        """
        async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
            command = make_command(Target(device_id=device), K.HOLD, by)
            return tell_answer(await send_command(kafka, command))

    async def release(
        _: PlainCommand, what: str, device: str | None, by: str | None, limit_s: float
    ) -> Exit:
        """Release a device, or a job that is HELD.

        WHAT is the device, or the job's request or record; the job goes on whatever its age.
        """
        async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
            target = await find_held(kafka, context, what, device)
            return tell_answer(await send_command(kafka, make_command(target, K.RELEASE, by)))

    timeout = timeout_option("Seconds for the answer.")
    app.command(argument("device"), by_option(), timeout, base=PlainCommand)(hold)
    app.command(argument("what"), device_option(), by_option(), timeout, base=PlainCommand)(release)


def _add_to_scan(app: Any, context: Context, name: str, kind: ScanCommandKind, text: str) -> None:
    async def run(
        _: PlainCommand, scan: str, device: str | None, by: str | None, limit_s: float
    ) -> Exit:
        async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
            target = await find_scan(kafka, context, scan, device)
            return tell_answer(await send_command(kafka, make_command(target, kind, by)))

    run.__name__ = name
    run.__qualname__ = name
    run.__doc__ = f"{text}\n\n        X is its record or request. {MORE[name]} {NO_STOP}\n        "
    app.command(
        argument("scan", metavar="X"),
        device_option(),
        by_option(),
        timeout_option("Seconds for the answer."),
        base=PlainCommand,
    )(run)


async def find_held(kafka: Kafka, context: Context, what: str, device: str | None) -> Target:
    """Find what is to be released: a job of this request, a device, or a record's job.

    Raises CommandError: usage where a device and a request have this name.
    """
    work = await read_work(kafka, context)
    jobs, is_device = work.find(what), what in work.devices
    if jobs and is_device and device is None:
        raise CommandError(
            "a device and a request have this name: for the job name its --device", Exit.USAGE
        )
    if is_device and device is None:
        return Target(device_id=what)
    if jobs or device is not None or _may_be_record(what):
        return await find_scan(kafka, context, what, device)
    return Target(device_id=what)  # it is answered that it is not on hold


def _may_be_record(text: str) -> bool:
    return text.isdigit() or text.count("-") == 4  # noqa: PLR2004 - of a UUID
