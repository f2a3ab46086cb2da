"""All metrics: names, labels, help texts. In a registry of their own; no value ever holds an id."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """What a worker counts; served as text on `/metrics` (Prometheus)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = Counter(
            "scanhub_messages",
            "Messages settled, by topic.",
            ["topic"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "scanhub_message_seconds",
            "Time from taking a message until the next of its key may begin, seconds, by topic.",
            ["topic"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
        )
        self.dead_letters = Counter(
            "scanhub_dead_letters",
            "Messages that became dead letters, by topic and cause.",
            ["topic", "cause"],
            registry=self.registry,
        )
        self.events = Counter(
            "scanhub_events",
            "Scan events announced, by kind and state.",
            ["event", "state"],
            registry=self.registry,
        )
        self.outrun = Counter(
            "scanhub_statuses_outrun",
            "Statuses that were not forwarded, as newer ones of their scans waited already.",
            registry=self.registry,
        )
        self.expired = Counter(
            "scanhub_expired",
            "Requests, workflows and scans that were old and are forgotten, by table.",
            ["table"],
            registry=self.registry,
        )
        self.open_messages = Gauge(
            "scanhub_open_messages",
            "Messages taken and not yet acknowledged, by agent.",
            ["agent"],
            registry=self.registry,
        )
        self.open_work = Gauge(
            "scanhub_open_work",
            "Rows of open work: parked jobs, early messages, files to be copied; by aggregate.",
            ["aggregate"],
            registry=self.registry,
        )
        self.manager_away = Gauge(
            "scanhub_manager_away",
            "1 while a manager does not answer and jobs wait for it.",
            ["manager"],
            registry=self.registry,
        )
        self.disk_free = Gauge(
            "scanhub_disk_free_bytes",
            "Free space of the data lake's file system, bytes; below the watermark files wait.",
            registry=self.registry,
        )
        self.heartbeat = Gauge(
            "scanhub_broker_heartbeat_age_seconds",
            "Time since the last good heartbeat of the group, seconds; the worker ends at 7.",
            registry=self.registry,
        )

        # Looking a label up takes a lock and a tuple: once for each, not for each message.
        self.settled = cache(self._settled)
        self.announced = cache(self.events.labels)

    def _settled(self, topic: str) -> tuple[Counter, Histogram]:
        """Give what counts a topic's messages, and what measures them."""
        return self.messages.labels(topic), self.seconds.labels(topic)

    def text(self) -> bytes:
        """Give all metrics in Prometheus' text form."""
        return generate_latest(self.registry)
