"""Downloads: who waits over a rebalance gets no wrong answer, and copies wait for no download."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

from agents.downloads import Downloads
from agents.record.files import RecordFiles
from agents.record.state import FileIndex, FileRow, ScanRow
from agents.tools import Pool, Tools
from models import wire
from models.events import ScanState
from models.results import AnswerMetadata, AnswerStatus
from settings import Settings
from streams.deadletters import DeadLetters
from streams.guard import Guard
from streams.inbound import Inbound
from streams.metrics import Metrics
from streams.topics import partition_of
from tests.unit.test_device_bench import die_with
from tests.unit.test_record_bench import die_with_error
from tests.unit.test_record_decide import IDENTITY
from tests.unit.test_streams_fakes import (
    FakeProducer,
    HandClock,
    MemoryTable,
    make_inbound,
    make_outbox,
    settle_loop,
)

PLACE = partition_of(b"41", 8)


class Desk:
    """A downloads agent; `owned` tells whether it may read, `held` keeps a place in its pool busy."""

    def __init__(self) -> None:
        self.owned = True
        self.producer = FakeProducer()
        self.copies, self.pool = Pool(1, die_with_error), Pool(1, die_with_error)
        clock, metrics = HandClock(), Metrics()
        outbox = make_outbox(self.producer, clock)
        tools = Tools(
            settings=Settings(),
            partitions=8,
            clock=clock,
            guard=Guard(10, clock.monotonic, die_with),
            outbox=outbox,
            dead_letters=DeadLetters(outbox, clock, metrics),
            managers=cast("Any", None),
            lake=cast("Any", SimpleNamespace()),
            files=self.copies,
            metrics=metrics,
            draining=lambda: False,
        )
        self.scans = MemoryTable(ScanRow)
        files = RecordFiles(MemoryTable(FileRow), MemoryTable(FileIndex))
        self.agent = Downloads(tools, self.scans, files, self.pool, self.owns)
        self.held = asyncio.Event()

    def owns(self, partition: int) -> bool:
        return self.owned and partition == PLACE

    def hold(self, pool: Pool) -> None:
        """Take a pool's only place until `held` is set."""

        async def wait() -> None:
            await self.held.wait()

        pool.submit("held", wait)

    def answers(self) -> list[AnswerMetadata]:
        parts = self.producer.on(wire.RESULT_CHUNKS)
        return [
            AnswerMetadata.from_bytes(part.value or b"")
            for part in parts
            if part.header[wire.PART] == b"metadata"
        ]


def request(offset: int = 1) -> Inbound:
    body = {"request_id": f"q-{offset}", "record_id": 41, "what": "state"}
    return make_inbound(
        json.dumps(body).encode(),
        topic=wire.RESULT_REQUESTS,
        key=b"41",
        partition=PLACE,
        offset=offset,
    )


async def test_a_request_is_answered_also_for_what_is_missing() -> None:
    desk = Desk()
    await desk.agent.handle(request())
    await settle_loop()
    assert [one.status for one in desk.answers()] == [AnswerStatus.MISSING]


async def test_who_waited_until_the_partition_was_gone_is_not_told_that_it_is_missing() -> None:
    desk = Desk()
    desk.hold(desk.pool)
    await desk.agent.handle(request())
    desk.owned = False
    desk.held.set()
    await settle_loop()
    assert len(desk.pool) == 0
    assert desk.producer.sent == []


async def test_downloads_wait_for_one_another_and_copies_do_not_wait_for_them() -> None:
    desk = Desk()
    desk.scans.put(PLACE, "41", ScanRow(scan=IDENTITY, state=ScanState.READY))
    desk.hold(desk.copies)
    await desk.agent.handle(request())
    await settle_loop()
    assert [one.status for one in desk.answers()] == [AnswerStatus.OK]
    assert len(desk.copies) == 1
    desk.hold(desk.pool)
    await desk.agent.handle(request(2))
    await settle_loop()
    assert len(desk.answers()) == 1
    desk.held.set()
    await settle_loop()
    assert len(desk.answers()) == 2
