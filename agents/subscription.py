"""What a worker reads, and how its group tells one subscription from another."""

from hashlib import sha256

from agents import downloads
from agents.device import agent as device
from agents.record import agent as record
from agents.workflow import agent as workflow
from models import wire
from settings import Settings
from streams.topics import Topics


def device_topics(settings: Settings) -> tuple[str, ...]:
    """Give the device agent's topics: its own device tasks only where it posts them to the devices."""
    return tuple(t for t in device.TOPICS if settings.gateway or t != wire.DEVICE_TASKS)


def instance_id(settings: Settings, topics: Topics) -> str:
    """Name a static member: its worker, and a hash of what it subscribes to.

    A restarted member with another subscription would get its old assignment back, and would
    silently not read the new topics.
    """
    return f"{settings.worker_id}-{subscription_digest(settings, topics)}"


def subscription_digest(settings: Settings, topics: Topics) -> str:
    """Give ten hex digits that tell one subscription from another."""
    logical = (
        *device_topics(settings), *record.TOPICS, *workflow.TOPICS, *downloads.TOPICS,
    )  # fmt: skip
    subscribed = ",".join(sorted(topics[name] for name in logical))
    return sha256(f"{subscribed}/{topics.partitions}".encode()).hexdigest()[:10]
