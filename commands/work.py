"""What waits for devices and what holds them: read from the changelog of `device-work`, as it is now.

The changelog is the truth, and is there without a worker. Rows: models/work.py.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pydantic import ValidationError

from commands.base import Context
from commands.kafka import Kafka
from commands.reading import read
from models.base import canonical
from models.work import AT_DEVICE, HELD, ON_HOLD, PARKED, ParkedRow
from streams.openwork import SEPARATOR
from streams.provision import changelog

WORK: Final = "device-work"


class Entry(NamedTuple):
    """A job in a device's queue: its row's kind (AT_DEVICE, PARKED, HELD), and its order."""

    kind: str
    order: str
    row: ParkedRow

    @property
    def record(self) -> str | None:
        """The job's record, once it has one."""
        return None if self.row.record_id is None else canonical(self.row.record_id)

    @property
    def priority(self) -> int:
        """The job's priority, as its order has it."""
        digits = self.order[:4]
        return 1000 - int(digits) if digits.isdigit() else 0


@dataclass(slots=True)
class DeviceWork:
    """One device's rows."""

    rows: dict[str, ParkedRow] = field(default_factory=dict)

    @property
    def hold(self) -> ParkedRow | None:
        """The hold that a person put on it."""
        return self.rows.get(ON_HOLD)

    def entries(self, kind: str) -> list[Entry]:
        """Give its jobs of a kind, in order."""
        names = sorted(name for name in self.rows if name[0] == kind and name != ON_HOLD)
        return [Entry(kind, name[1:], self.rows[name]) for name in names]

    @property
    def running(self) -> list[Entry]:
        """Jobs that hold the device."""
        return self.entries(AT_DEVICE)

    @property
    def waiting(self) -> list[Entry]:
        """Jobs that wait for it, the next one first. One that holds it already does not wait."""
        begun = {entry.order for entry in self.running}
        return [entry for entry in self.entries(PARKED) if entry.order not in begun]

    @property
    def held(self) -> list[Entry]:
        """Jobs that wait for a person."""
        return self.entries(HELD)

    @property
    def jobs(self) -> list[Entry]:
        """Each job once: a worker between two writes, or one that died there, leaves two rows."""
        once: dict[str, Entry] = {}
        for entry in (*self.running, *self.held, *self.waiting):
            once.setdefault(entry.row.request_id, entry)
        return list(once.values())


class Work:
    """All devices' rows, as far as the changelog was read."""

    def __init__(self) -> None:
        self.devices: defaultdict[str, DeviceWork] = defaultdict(DeviceWork)

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the changelog; what is no row of ours is passed over."""
        device, _, name = (key or b"").decode("utf-8", "replace").partition(SEPARATOR)
        if not name:
            return
        if value is None:
            rows = self.devices[device].rows
            rows.pop(name, None)
            if not rows:
                del self.devices[device]
            return
        try:
            row = ParkedRow.from_bytes(value)
        except ValidationError:
            return  # of a version to come
        self.devices[device].rows[name] = row

    def find(self, scan: str) -> list[tuple[str, Entry]]:
        """Give the devices on which a request, or a record, waits or runs, each with its row."""
        record = record_of(scan)
        return [
            (device, entry)
            for device, work in self.devices.items()
            for entry in work.jobs
            if scan == entry.row.request_id or (record and record == entry.record)
        ]


def record_of(text: str) -> str | None:
    """Give the record's id that a text is; None if it is none."""
    try:
        return canonical(text)
    except ValueError:
        return None


def know_work(kafka: Kafka, context: Context) -> None:
    """Let a connection know the changelog by the name WORK."""
    spec = changelog(context.settings.app_id, WORK, context.topics.partitions)
    kafka.also(WORK, spec.name)


async def read_work(kafka: Kafka, context: Context) -> Work:
    """Read all rows as they are now. Raises CommandError."""
    know_work(kafka, context)
    work = Work()
    async for record in read(kafka, WORK):
        work.take(record.key, record.value)
    return work
