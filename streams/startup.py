"""What is checked before a worker joins its group; what is wrong stops it with a sentence."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from models.errors import FatalError
from streams.group import strangers
from streams.guard import stop_now
from streams.provision import Finding, Provisioner
from streams.topics import TopicSpec

LEAVE_S: Final = 15.0
"""How long a worker that was killed counts as a member of its group: the session, and a little."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """Who starts, and what it needs; `digest` tells its subscription from another."""

    bootstrap: str
    specs: list[TopicSpec]
    make: bool
    group: str
    worker_id: str
    digest: str

    async def run(self) -> tuple[str, int]:
        """Make and check the topics, look at the group; give the cluster's id and the broker's time.

        The time, ms, is learnt before anything is decided: a wrong clock of this machine must not
        hold a job, nor bury an early message.

        Waits, with one line in the log, while no broker answers.
        """
        said = False
        while True:
            try:
                with _quiet():
                    return await self._ask()
            except FatalError as error:
                stop_now(str(error), code=1)
            except (OSError, TimeoutError, KafkaError) as error:
                if isinstance(error, KafkaError) and not error.retriable:
                    stop_now(f"the topics can't be looked at: {type(error).__name__}", code=1)
                if not said:
                    log.warning("no broker answers yet (%s): waiting", type(error).__name__)
                    said = True
                await asyncio.sleep(1)

    async def _ask(self) -> tuple[str, int]:
        async with Provisioner(self.bootstrap) as provisioner:
            wrong = say_wrong(await provisioner.look(self.specs, make=self.make))
            if wrong:
                stop_now(f"the worker does not start: {'; '.join(wrong)}", code=1)
            await self._refuse_strangers(provisioner)
            cluster = await provisioner.cluster_id()
        return cluster, await self._ask_time()

    async def _ask_time(self) -> int:
        """Write a tombstone of a key that no row has, and take its LogAppendTime."""
        stamped = "message.timestamp.type"
        topic = next(
            s.name for s in reversed(self.specs) if s.settings.get(stamped) == "LogAppendTime"
        )
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, request_timeout_ms=10_000)
        await producer.start()
        try:
            sent = await producer.send_and_wait(topic, None, key=b"the-time", partition=0)
        finally:
            await producer.stop()
        return int(sent.timestamp)

    async def _refuse_strangers(self, provisioner: Provisioner) -> None:
        """Do not join workers that read other topics; one that was killed is a member for a while."""
        deadline = time.monotonic() + LEAVE_S
        while True:
            members = await provisioner.members(self.group)
            others = strangers(members, self.worker_id, self.digest)
            if not others:
                return
            if time.monotonic() > deadline:
                stop_now(
                    f"the worker does not start: {', '.join(others)} of this group ({self.group})"
                    " reads other topics or partitions; all workers need the same SCANHUB_TOPIC_…"
                    " settings",
                    code=1,
                )
            await asyncio.sleep(1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep aiokafka from an ERROR for each attempt to connect: one line of ours says it all."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def say_wrong(found: list[Finding]) -> list[str]:
    """Say what is wrong with the topics."""
    wrong = [f"topic {one.topic}: {one.wrong}" for one in found if one.wrong]
    return wrong + [
        f"topic {one.topic} is missing; `faust -A faust_app topics` makes it"
        for one in found
        if one.missing and not one.made
    ]
