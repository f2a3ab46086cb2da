"""What the client sends, and when: a seed gives all of it, and the same each time. No I/O.

Each message carries a mark in a header of its own, so that it is known again in a dead letter or after
it was moved: `good-…` for what must come to an end, `bad-…` for what must become a dead letter.
"""

import json
import random
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from models import wire

MARK: Final = "chaos-mark"
SEQUENCE_ID: Final = "65a1b2c3d4e5f60718293a4b"
NO_RECORD: Final = 900_000_000
"""From here on nobody has records: what names one of these is of an unknown record."""

LIMITS: Final = {
    "patient_height": 178.25,
    "patient_weight": 74.125,
    "Gender": "FEMALE",
    "patient_age": 41,
}
_PRIORITIES: Final = (0,) * 16 + (1, 7, 1000, -3)
PARAMETERS: Final = {
    "fov": {"X": 220.0, "Y": 220.0, "Z": 5.0},
    "fov_offset": {"X": 0.0, "Y": -12.5, "Z": 30.0},
}


class Sender(StrEnum):
    """Who chooses the partition, and how."""

    MURMUR2 = "murmur2"
    CRC32 = "crc32"
    NO_KEY = "no-key"


class Form(StrEnum):
    """What a message is."""

    JOB = "job"
    REPEAT = "repeat"  # the same again, with the same request id
    METRES = "metres"  # well formed, but no patient is 1.78 cm tall: FAILED, and nothing sent
    NOT_JSON = "not-json"
    NO_SEQUENCE = "no-sequence"
    NULL = "null"
    CONFLICT = "conflict"  # another job under a request id that is taken
    STRAY_STATUS = "stray-status"  # of a record that nobody has
    BAD_UPLOAD = "bad-upload"


BAD: Final = frozenset(
    {Form.NOT_JSON, Form.NO_SEQUENCE, Form.NULL, Form.CONFLICT, Form.STRAY_STATUS, Form.BAD_UPLOAD}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A message as it is sent."""

    mark: str
    topic: str
    key: str
    """Its key, unless its sender gives none."""
    value: bytes | None
    sender: Sender
    device: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One message to be sent `t` seconds after the start."""

    t: float
    number: int
    form: Form
    sender: Sender
    device: str
    request_id: str | None
    priority: int = 0
    uuids: bool = False
    """Whether jobs have UUIDs, as the exam manager of their era."""

    @property
    def mark(self) -> str:
        """The header that tells it from all others; a repeat has its own."""
        return f"{'bad' if self.form in BAD else 'good'}-{self.number:05d}-{self.form}"

    @property
    def topic(self) -> str:
        """Where it goes."""
        if self.form is Form.STRAY_STATUS:
            return wire.SCAN_STATUS
        return wire.RESULT_UPLOADS if self.form is Form.BAD_UPLOAD else wire.SCAN_JOBS

    @property
    def key(self) -> str:
        """Its key, unless its sender gives none."""
        return self.device if self.topic == wire.SCAN_JOBS else str(NO_RECORD + self.number)

    @property
    def post(self) -> Post:
        """The message itself."""
        return Post(
            mark=self.mark,
            topic=self.topic,
            key=self.key,
            value=body(self),
            sender=self.sender,
            device=self.device,
            request_id=self.request_id,
        )


def make_traffic(
    seed: int, seconds: float, jobs: int, devices: list[str], *, uuids: bool = False
) -> tuple[Order, ...]:
    """Give all messages of a run by time: `jobs` good ones, and what else there is beside them."""
    dice = random.Random(f"{seed}/traffic")  # noqa: S311 - no secret, and must repeat
    orders: list[Order] = []
    for number, t in enumerate(_times(dice, seconds, jobs)):
        device = dice.choice(devices)
        form = Form.METRES if dice.random() < 0.02 else Form.JOB  # noqa: PLR2004
        named = dice.random() < 0.85  # noqa: PLR2004 - the rest has an id made from its place
        job = Order(
            t=t,
            number=number,
            form=form,
            sender=dice.choice(tuple(Sender)),
            device=device,
            request_id=f"chaos-{seed}-{number:05d}" if named else None,
            priority=dice.choice(_PRIORITIES),
            uuids=uuids,
        )
        orders.append(job)
        if named:
            orders += _followers(dice, job, devices, seconds)
        if dice.random() < 0.05:  # noqa: PLR2004
            orders.append(_bad(dice, job, seconds))
    return tuple(sorted(orders, key=lambda order: (order.t, order.number, order.form)))


def _times(dice: random.Random, seconds: float, jobs: int) -> list[float]:
    """Spread the jobs evenly, but for a fifth of them, which come in bursts."""
    in_bursts, times = jobs // 5, []
    while in_bursts > 0:
        size, at = min(in_bursts, dice.randint(8, 20)), dice.uniform(0, seconds)
        times += [at] * size
        in_bursts -= size
    steady = jobs - len(times)
    times += [seconds * (n + dice.random()) / steady for n in range(steady)]
    return sorted(round(t, 3) for t in times)


def _followers(dice: random.Random, job: Order, devices: list[str], seconds: float) -> list[Order]:
    """Give what is sent again under a job's request id."""
    later = min(seconds, job.t + dice.uniform(0.1, 20))
    if dice.random() < 0.1 and job.form is Form.JOB:  # noqa: PLR2004
        return [replace(job, t=later, form=Form.REPEAT, sender=dice.choice(tuple(Sender)))]
    if dice.random() < 0.01 and job.sender is Sender.MURMUR2:  # noqa: PLR2004
        # By the same producer to the same partition: Kafka keeps the order, so this is the second.
        return [replace(job, t=job.t + 1, form=Form.CONFLICT)]
    if dice.random() < 0.02 and len(devices) > 1:  # noqa: PLR2004
        # The same request id on another device is another job.
        other = dice.choice([device for device in devices if device != job.device])
        return [replace(job, t=later, number=job.number + 50_000, device=other)]
    return []


def _bad(dice: random.Random, job: Order, seconds: float) -> Order:
    forms = (Form.NOT_JSON, Form.NO_SEQUENCE, Form.NULL, Form.STRAY_STATUS, Form.BAD_UPLOAD)
    form = dice.choice(forms)
    if form is Form.STRAY_STATUS and job.t > seconds / 2:
        form = Form.NOT_JSON  # it waits for its record first; the run should not have to
    number = job.number + 70_000
    sender = dice.choice((Sender.MURMUR2, Sender.CRC32))
    return replace(job, number=number, form=form, sender=sender, request_id=None)


def body(order: Order) -> bytes | None:
    """Give a message's value."""
    if order.form is Form.NULL:
        return None
    if order.form is Form.NOT_JSON:
        return b'{"id": 1, "sequence_id'
    if order.form is Form.STRAY_STATUS:
        return _json({"record_id": NO_RECORD + order.number, "status_percent": 50})
    if order.form is Form.BAD_UPLOAD:
        return _json({"record_id": NO_RECORD + order.number, "upload_id": "u", "size": -1})
    limits = dict(LIMITS)
    if order.form is Form.METRES:
        limits["patient_height"] = 1.78
    job: dict[str, Any] = {
        "id": str(UUID(int=order.number + 1)) if order.uuids else order.number + 1,
        "sequence_id": SEQUENCE_ID,
        "device_id": order.device,
        "acquisition_limits": limits,
        "sequence_parameters": PARAMETERS,
    }
    if order.form is Form.NO_SEQUENCE:
        del job["sequence_id"]
    if priority := order.priority - (order.form is Form.CONFLICT):
        job["priority"] = priority
    return _json(job)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
