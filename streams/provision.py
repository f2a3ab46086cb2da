"""Topics are made up front, with their partitions and settings; what exists is checked.

A partition count can't change in place: keys would hash to other partitions, and the tables would not
move with them. So a mismatch is refused with a sentence, never repaired.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from models.errors import FatalError
from streams.group import members_of
from streams.topics import TopicSpec

DELETE_RETENTION_MS: Final = 7 * 86_400_000
"""How long a changelog keeps tombstones; local stores that were away longer are thrown away."""


def changelog(app_id: str, table: str, partitions: int) -> TopicSpec:
    """Give a table's changelog as it should be (its name is Faust's)."""
    return TopicSpec(
        name=f"{app_id}-{table}-changelog",
        partitions=partitions,
        limit=4 * 1024 * 1024,
        retention_ms=-1,
        settings={
            "cleanup.policy": "compact",
            "delete.retention.ms": str(DELETE_RETENTION_MS),
            # A durable write tells the broker's time: a job's age is checked with it (promise 9).
            "message.timestamp.type": "LogAppendTime",
        },
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one topic; `wrong` is a sentence, empty if all is well."""

    topic: str
    made: bool = False
    missing: bool = False
    wrong: str = ""


class Provisioner:
    """Looks at topics, and makes those that are missing."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin: Any = None

    async def __aenter__(self) -> Self:
        """Connect. Raises KafkaError if no broker answers."""
        self._admin = AIOKafkaAdminClient(
            bootstrap_servers=self._bootstrap, request_timeout_ms=10_000
        )
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of the broker."""
        await self._admin.close()

    async def cluster_id(self) -> str:
        """Give the cluster's id: local stores of another cluster are never used."""
        described = await self._admin.describe_cluster()
        return str(described.get("cluster_id") or "unknown")

    async def members(self, group: str) -> list[str]:
        """Give the member ids of a consumer group."""
        return await members_of(self._admin, group)

    async def look(self, specs: Iterable[TopicSpec], *, make: bool) -> list[Finding]:
        """Compare topics with what they should be; make the missing ones if told so."""
        specs = list(specs)
        existing = await self._partitions()
        missing = [spec for spec in specs if spec.name not in existing]
        if make and missing:
            await self._make(missing)
        settings = await self._settings([spec.name for spec in specs if spec.name in existing])
        return [
            Finding(spec.name, made=make, missing=True)
            if spec.name not in existing
            else Finding(spec.name, wrong=_compare(spec, existing[spec.name], settings))
            for spec in specs
        ]

    async def _partitions(self) -> dict[str, int]:
        # All topics, not ours by name: asking for a name makes it, with any partition count, on a
        # broker that makes topics by itself (auto.create.topics.enable, Kafka's default).
        described = await self._admin.describe_topics()
        return {
            topic["topic"]: len(topic["partitions"])
            for topic in described
            if topic["error_code"] == 0
        }

    async def _settings(self, names: list[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        answers = await self._admin.describe_configs(resources)
        return {
            resource[3]: {entry[0]: entry[1] for entry in resource[4]}
            for answer in answers
            for resource in answer.resources
        }

    async def _make(self, specs: list[TopicSpec]) -> None:
        new = [
            NewTopic(
                name=spec.name,
                num_partitions=spec.partitions,
                replication_factor=1,
                topic_configs=spec.config(),
            )
            for spec in specs
        ]
        for topic in new:
            # The broker's own default (default.replication.factor); the constructor does not take it.
            topic.replication_factor = -1
        answer = await self._admin.create_topics(new)
        for name, code, *_ in answer.topic_errors:
            error = for_code(code)
            # Another worker may have made it at the same time: that is fine.
            if code != 0 and error is not TopicAlreadyExistsError:
                raise FatalError(f"topic {name} can't be made: {error.__name__}")


def _compare(spec: TopicSpec, partitions: int, settings: Mapping[str, Mapping[str, str]]) -> str:
    if partitions != spec.partitions:
        return (
            f"it has {partitions} partitions, {spec.partitions} are set (SCANHUB_PARTITIONS)."
            " The count can't change in place: set a new SCANHUB_TOPIC_PREFIX and SCANHUB_APP_ID,"
            " and let the old topics run empty"
        )
    found = settings.get(spec.name, {})
    if not found:
        return ""
    limit = found.get("max.message.bytes", "")
    if limit.isdigit() and int(limit) < spec.limit:
        return f"its max.message.bytes is {limit}, at least {spec.limit} is needed"
    for name, value in spec.settings.items():
        if name in ("message.timestamp.type", "cleanup.policy") and found.get(name) != value:
            return f"its {name} is {found.get(name)}, {value} is needed"
    return ""
