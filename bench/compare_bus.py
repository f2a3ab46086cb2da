"""Sends jobs and sees device tasks, with librdkafka: it takes little from what is measured.

Its threads are not Python's: 8,000 jobs go out in a fraction of a second, and reading 21 kB tasks
costs a few microseconds each. Of a task only its name and the time are noted.
"""

import time
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.load import SEQUENCES, device_names, make_job
from models import wire
from models.scan import ScanJob

DEVICES: Final = 50
PARTITIONS: Final = 4
_POLL_S: Final = 0.05
_REACH_S: Final = 20.0
_SILENCE_S: Final = 20.0
"""Four times the longest back-off of ours (SCANHUB_RETRY_MOST_S)."""


@dataclass(slots=True)
class Seen:
    """What was sent and what came back; times are of the monotonic clock."""

    sent: dict[str, float] = field(default_factory=dict)
    tasks: dict[str, float] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Jobs without a task so far."""
        return len(self.sent) - len(self.tasks)

    def note(self, name: str, at: float) -> None:
        """Take a task; those of earlier phases are none of this one's."""
        if name in self.sent:
            self.tasks.setdefault(name, at)


class Jobs:
    """Makes jobs over the devices and sequences, in turn; no number comes twice in a run."""

    def __init__(self) -> None:
        self._devices = device_names(DEVICES)
        self._numbers = count(1)

    def make(self, jobs: int) -> list[tuple[str, ScanJob]]:
        """Give so many jobs with their names."""
        made = []
        for _ in range(jobs):
            number = next(self._numbers)
            turn, device = divmod(number, DEVICES)
            sequence = SEQUENCES[turn % len(SEQUENCES)]
            made.append((f"bench-{number}", make_job(number, self._devices[device], sequence)))
        return made


class Bus:
    """One rival's topics: `<prefix>scan-jobs` and `<prefix>device-tasks`."""

    def __init__(self, bootstrap: str, prefix: str, jobs: Jobs) -> None:
        self._jobs_topic = prefix + wire.SCAN_JOBS
        self._tasks_topic = prefix + wire.DEVICE_TASKS
        self.repeated = 0
        """Tasks of jobs that had one already, over all phases."""
        self._ever: set[str] = set()
        self._prefix = prefix
        self._jobs = jobs
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._producer = Producer({
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",  # Java's; librdkafka's own puts keys elsewhere
            "enable.idempotence": True,
            "linger.ms": 0,
            "log_level": 3,  # errors: "coordinator load in progress" is no news at a start
        })  # fmt: skip
        self._consumer = Consumer({
            "bootstrap.servers": bootstrap,
            "group.id": f"{prefix}bench",  # asked for by the library; nothing is committed
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 100,
        })  # fmt: skip

    def make_topics(self) -> None:
        """Make both topics, for rivals that make none. Raises KafkaException."""
        names = (self._jobs_topic, self._tasks_topic)
        made = self._admin.create_topics([
            NewTopic(name, num_partitions=PARTITIONS, replication_factor=1) for name in names
        ])  # fmt: skip
        for future in made.values():
            future.result(_REACH_S)

    def listen(self) -> None:
        """Read tasks from now on. Raises KafkaException when the topic is not there."""
        places = [TopicPartition(self._tasks_topic, n) for n in range(PARTITIONS)]
        for place in places:
            _, end = self._consumer.get_watermark_offsets(place, timeout=_REACH_S)
            place.offset = end
        self._consumer.assign(places)

    def close(self) -> None:
        """Let go of the broker, and delete the rival's topics: thousands of tasks of 21 kB."""
        self._consumer.close()
        names = self._admin.list_topics(timeout=_REACH_S).topics
        ours = [name for name in names if name.startswith(self._prefix)]
        for future in self._admin.delete_topics(ours).values() if ours else ():
            future.result(_REACH_S)

    def backlog(self, jobs: int, limit_s: float) -> Seen:
        """Send so many jobs at once, and read until each has its task or the limit is over."""
        made = [(name, _wire(job)) for name, job in self._jobs.make(jobs)]
        seen = Seen()
        began = time.monotonic()
        for name, (key, value) in made:
            self._send(name, key, value)
            seen.sent[name] = began
        self._flush()
        self._until_all(seen, began + limit_s)
        return seen

    def at_rate(self, per_second: float, seconds: float, limit_s: float) -> Seen:
        """Send jobs at their times, whatever comes back (open loop); a job counts from its time."""
        seen = Seen()
        began = time.monotonic()
        made = [(name, _wire(job)) for name, job in self._jobs.make(int(per_second * seconds))]
        for number, (name, (key, value)) in enumerate(made):
            due = began + number / per_second
            while (left := due - time.monotonic()) > 0:
                self._read(seen, min(left, _POLL_S))
            self._send(name, key, value)
            seen.sent[name] = due
        self._flush()
        self._until_all(seen, time.monotonic() + limit_s)
        return seen

    def linger(self, seconds: float) -> None:
        """Look a while longer for tasks that come twice."""
        seen, deadline = Seen(), time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._read(seen, _POLL_S)

    def _send(self, name: str, key: bytes, value: bytes) -> None:
        headers: list[tuple[str, str | bytes | None]] = [(wire.REQUEST_ID, name.encode())]
        self._producer.produce(self._jobs_topic, value, key, headers=headers, on_delivery=_taken)
        self._producer.poll(0)

    def _flush(self) -> None:
        if left := self._producer.flush(_REACH_S):
            raise TimeoutError(f"{left} jobs could not be sent in {_REACH_S:g} s")

    def _until_all(self, seen: Seen, deadline: float) -> None:
        """Read until nothing is missing; give up at the deadline, or when nothing comes any more."""
        missing, quiet_from = seen.missing, time.monotonic()
        while seen.missing and time.monotonic() < min(deadline, quiet_from + _SILENCE_S):
            self._read(seen, _POLL_S)
            if seen.missing < missing:
                missing, quiet_from = seen.missing, time.monotonic()

    def _read(self, seen: Seen, wait_s: float) -> None:
        message = self._consumer.poll(wait_s)
        if message is None:
            return
        if (error := message.error()) is not None:
            raise KafkaException(error)
        now = time.monotonic()
        name = _name(message)
        self.repeated += name in self._ever
        self._ever.add(name)
        seen.note(name, now)


def _wire(job: ScanJob) -> tuple[bytes, bytes]:
    return job.device_id.encode(), job.to_bytes()


def _taken(error: object, _message: object) -> None:
    if error is not None:
        raise RuntimeError(f"the broker refused a job: {error}")


def _name(message: Message) -> str:
    value = dict(message.headers() or ()).get(wire.REQUEST_ID, b"")
    return value.decode() if isinstance(value, bytes) else ""
