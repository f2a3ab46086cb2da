"""Who has which partitions, as the broker says; and who joined anew, as the workers' logs say."""

import asyncio
import re
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from bench.grow_size import Space
from models import wire

_MEMBER: Final = re.compile(
    r"(?P<worker>.+)-[0-9a-f]{10}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
_LOOK_S: Final = 0.2
_JOINED: Final = b"Joined group "


class Group:
    """Asks the broker for a group's state."""

    def __init__(self, bootstrap: str, space: Space) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        self._space = space

    async def __aenter__(self) -> Self:
        await self._admin.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._admin.close()

    async def owners(self) -> dict[int, str]:
        """Give each partition's worker; {} while the group is not stable."""
        [answer] = await self._admin.describe_consumer_groups([self._space.app_id])
        jobs = self._space.topics[wire.SCAN_JOBS]
        owners: dict[int, str] = {}
        for _, _, state, _, _, members, *_ in answer.groups:
            if state != "Stable":
                return {}
            for member in members:
                owners |= _owned(member, jobs)
        return owners

    async def shared_by(self, workers: set[str], limit_s: float) -> dict[int, str]:
        """Wait until just these workers share all partitions. Raises TimeoutError."""
        deadline = time.monotonic() + limit_s
        while True:
            owners = await self.owners()
            if len(owners) == self._space.partitions and set(owners.values()) == workers:
                return owners
            if time.monotonic() > deadline:
                raise TimeoutError(f"{sorted(workers)} do not share the partitions: {owners}")
            await asyncio.sleep(_LOOK_S)


def _owned(member: Any, topic: str) -> dict[int, str]:
    member_id, assignment = member[0], member[4]
    found = _MEMBER.fullmatch(member_id)
    if found is None or not assignment:
        return {}
    decoded = ConsumerProtocolMemberAssignment.decode(assignment)
    return {
        partition: found["worker"]
        for name, partitions in decoded.assignment
        if name == topic
        for partition in partitions
    }


class Joins:
    """Counts how often workers joined their group since this was made; each is a rebalance."""

    def __init__(self, logs: Path, workers: set[str]) -> None:
        self._from = {log: log.stat().st_size for log in (logs / f"{w}.log" for w in workers)}

    def count(self) -> int:
        """Give the largest number of any of the workers."""
        return max(
            (log.read_bytes()[begin:].count(_JOINED) for log, begin in self._from.items()),
            default=0,
        )
