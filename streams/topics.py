"""All topics in one table; `faust -A faust_app topics` makes them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from aiokafka.partitioner import DefaultPartitioner, murmur2

from models import wire

MIB: Final = 1024 * 1024
INPUT_LIMIT: Final = 1_048_588  # bytes; Kafka's own default, which upstream relies on too
TASK_LIMIT: Final = 32 * MIB  # a DeviceTask carries a whole sequence, up to 16 MB and its escapes
DEAD_LETTER_LIMIT: Final = TASK_LIMIT + 65_536  # the largest input and our headers
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")  # Kafka's own rule
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic as it should be; `limit` is `max.message.bytes`."""

    name: str
    partitions: int
    limit: int = INPUT_LIMIT
    retention_ms: int = 7 * _DAY_MS
    settings: Mapping[str, str] = field(default_factory=dict)

    def config(self) -> dict[str, str]:
        """Give the broker's settings for it."""
        return {
            "max.message.bytes": str(self.limit),
            "retention.ms": str(self.retention_ms),
            **self.settings,
        }


# What differs from a plain topic kept for seven days with the default limit.
_LIMITS: Final = {
    wire.DEVICE_TASKS: TASK_LIMIT,
    wire.DEAD_LETTERS: DEAD_LETTER_LIMIT,
    wire.RECORD_STEPS: 4 * MIB,  # the outcome of a reconstruction names up to 2,048 files
}
_RETENTION: Final = {
    wire.RESULT_CHUNKS: _DAY_MS // 24,
    wire.DEAD_LETTER_ACTS: 8 * _DAY_MS,  # an act outlives its letter, which would be open again
}
_SETTINGS: Final = {
    # The age of a job is the broker's word, not the sender's (promise 9).
    wire.SCAN_JOBS: {"message.timestamp.type": "LogAppendTime"},
    # Nor that of what leads to a job: a start that waited, or a task before it, that ended long ago.
    wire.WORKFLOW_REQUESTS: {"message.timestamp.type": "LogAppendTime"},
    wire.TASK_COMPLETIONS: {"message.timestamp.type": "LogAppendTime"},
    wire.WORKFLOW_STEPS: {"message.timestamp.type": "LogAppendTime"},
}

ALL: Final = (
    wire.SCAN_JOBS, wire.SCAN_COMMANDS, wire.DEVICE_TASKS, wire.SCAN_STATUS, wire.RESULT_UPLOADS,
    wire.RECO_RESULTS, wire.WORKFLOW_REQUESTS, wire.TASK_COMPLETIONS, wire.RESULT_REQUESTS,
    wire.DEVICE_STEPS, wire.RECORD_STEPS, wire.WORKFLOW_STEPS, wire.RECO_JOBS, wire.TASK_EVENTS,
    wire.WORKFLOW_RESPONSES, wire.RESULT_CHUNKS, wire.SCAN_EVENTS, wire.DEAD_LETTERS,
    wire.DEAD_LETTER_ACTS,
)  # fmt: skip


class Topics:
    """Names and specifications of all topics, with renamings and prefix applied.

    `topics["scan-jobs"]` is the real name of a topic; unknown names raise KeyError.
    """

    def __init__(
        self,
        *,
        prefix: str = "",
        renamed: Mapping[str, str] | None = None,
        partitions: int = 8,
        reco_partitions: int | None = None,
    ) -> None:
        renamed = renamed or {}
        unknown = sorted(set(renamed) - set(ALL))
        if unknown:
            names = ", ".join(f"SCANHUB_TOPIC_{n.upper().replace('-', '_')}" for n in unknown)
            raise ValueError(f"no such topic to rename: {names}")
        self.partitions = partitions
        self._names = {name: prefix + renamed.get(name, name) for name in ALL}
        if len(set(self._names.values())) < len(ALL):
            raise ValueError("two topics have the same name")
        for name, real in self._names.items():
            if not _NAME.fullmatch(real) or real in (".", ".."):
                raise ValueError(
                    f"topic {name} can't have this name: 1 to 249 of letters, digits, '.', '_', '-'"
                )
        self._reco_partitions = reco_partitions or partitions

    def __getitem__(self, name: str) -> str:
        return self._names[name]

    def count(self, name: str) -> int:
        """Give the number of partitions of a topic."""
        return self._reco_partitions if name == wire.RECO_JOBS else self.partitions

    def specs(self) -> list[TopicSpec]:
        """Give every topic as it should be."""
        return [
            TopicSpec(
                name=real,
                partitions=self.count(name),
                limit=_LIMITS.get(name, INPUT_LIMIT),
                retention_ms=_RETENTION.get(name, 7 * _DAY_MS),
                settings=_SETTINGS.get(name, {}),
            )
            for name, real in self._names.items()
        ]


SHORT_KEY: Final = 256
"""Bytes; the hash of a longer key is not kept, as that would keep the key."""


def partition_of(key: bytes, partitions: int) -> int:
    """Give the partition of a key as Java, aiokafka and Faust count it (murmur2).

    librdkafka's default is CRC32: its messages are moved by the intake (streams/intake.py).
    """
    number = _kept_hash(key) if len(key) <= SHORT_KEY else murmur2(key)
    return int((number & 0x7FFFFFFF) % partitions)


@lru_cache(maxsize=4096)
def _kept_hash(key: bytes) -> int:
    return int(murmur2(key))  # in Python: 6 µs for a key, and a scan's is asked for a few times


class Partitioner(DefaultPartitioner):  # type: ignore[misc]  # aiokafka has no types
    """The producer's partitioner: as the default one, with the hashes of short keys kept."""

    def __call__(self, key: bytes | None, all_partitions: list[int], available: list[int]) -> int:
        """Give the partition of a key; of none, any."""
        if key is None:
            return int(super().__call__(key, all_partitions, available))
        return all_partitions[partition_of(key, len(all_partitions))]
