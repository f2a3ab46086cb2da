"""Which scan or device a person means by what she typed: plain functions over the queues' rows."""

from dataclasses import dataclass
from typing import Any, Final

import click
from faust.cli import argument, option

from commands.base import CommandError, Exit
from commands.work import Entry, Work, record_of

UNKNOWN: Final = (
    "nothing of that name waits or runs. A scan that has ended, or whose device has no queue"
    " (SCANHUB_SCANS_PER_DEVICE=0), is named by its record, or by --request and --device"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was typed: a name that can be several things, or options that say what it is."""

    what: str | None = None
    record: str | None = None
    request: str | None = None
    device: str | None = None
    """The scan's device; alone, where that is allowed, the device itself is meant."""

    @property
    def scan(self) -> str | None:
        """The scan's name, whatever it is."""
        return self.what or self.request or self.record

    @property
    def may_be_record(self) -> str | None:
        """The record's id, if the name can be one."""
        return None if self.request else record_of(self.scan or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a command is for: a device, or a scan on it."""

    device_id: str
    record_id: str | None = None
    request_id: str | None = None


def target_options(metavar: str) -> tuple[Any, ...]:
    """Make the arguments by which a scan or a device is named."""
    return (
        argument("what", required=False, metavar=f"[{metavar}]"),
        option("--record", metavar="ID", help="The scan's record, where its name is ambiguous."),
        option("--request", metavar="ID", help="The scan's request, likewise."),
        option("--device", metavar="ID", help="Its device, where it is not found."),
    )


def read_target(
    what: str | None,
    record: str | None,
    request: str | None,
    device: str | None,
    *,
    devices_too: bool = False,
) -> Typed:
    """Take what was typed. Raises click.UsageError unless it names one thing."""
    names = [name for name in (what, record, request) if name]
    if len(names) > 1 or not (names or (devices_too and device)):
        raise click.UsageError("name one thing: a record or a request, by itself or by its option")
    if record is not None and record_of(record) is None:
        raise click.BadParameter("a record's id is an integer or a UUID")
    return Typed(what=what, record=record, request=request, device=device)


def jobs_in(work: Work, typed: Typed) -> list[tuple[str, Entry]]:
    """Give the jobs that wait or run and have this request or this record, with their devices."""
    return [
        (device, entry)
        for device, entry in work.find(typed.scan or "")
        if typed.device in (None, device)
        and typed.request in (None, entry.row.request_id)
        and (typed.record is None or record_of(typed.record) == entry.record)
    ]


def scan_in(work: Work, typed: Typed) -> Target | None:
    """Find the scan that is meant among those that wait or run; None if it is none of them.

    With its device named it need not be among them. Raises CommandError (usage) if it is two.
    """
    found = jobs_in(work, typed)
    if len(found) > 1:
        raise CommandError(_several(found), Exit.USAGE)
    for device, entry in found:
        return Target(device_id=device, record_id=entry.record, request_id=entry.row.request_id)
    if typed.device is None:
        return None
    # People's requests are rarely numbers, and record ids of one era always are.
    if typed.record or (typed.may_be_record and (typed.what or "").isdigit()):
        return Target(device_id=typed.device, record_id=typed.may_be_record)
    return Target(device_id=typed.device, request_id=typed.scan)


def held_in(work: Work, typed: Typed) -> Target | None:
    """Find what is to be held or released: a job, or a device; None if it is not known here.

    Raises CommandError (usage) where a job and a device have this name.
    """
    if typed.scan is None and typed.device is not None:
        return Target(device_id=typed.device)
    is_device = typed.what is not None and typed.device is None and typed.what in work.devices
    if is_device and typed.what is not None:
        if jobs_in(work, typed):
            raise CommandError(
                "a job and a device have this name: say which by --request, --record or --device",
                Exit.USAGE,
            )
        return Target(device_id=typed.what)
    return scan_in(work, typed)


def _several(found: list[tuple[str, Entry]]) -> str:
    devices = sorted({device for device, _ in found})
    if len({entry.row.request_id for _, entry in found}) == 1:
        return f"there is such a scan on {', '.join(devices)}: name one by --device"
    return "a request and a record have this name: say which by --request or --record"
