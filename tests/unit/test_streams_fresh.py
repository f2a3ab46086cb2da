"""Which jobs nobody can have begun before."""

from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from models import wire
from streams.caughtup import End, Ends
from streams.fresh import Fresh
from tests.unit.test_streams_fakes import make_inbound

PLACE = TP("scan-jobs", 0)


async def ends(_: list[TP]) -> Ends:
    return {PLACE: End(5, 5)}


async def away(_: list[TP]) -> Ends:
    raise KafkaConnectionError


async def test_only_what_came_since_the_partition_is_ours_is_fresh() -> None:
    fresh = Fresh(lambda: [PLACE], ends)
    assert not fresh(make_inbound(b"", offset=5)), "the end is not known yet"
    await fresh.learn()
    assert [fresh(make_inbound(b"", offset=offset)) for offset in (4, 5)] == [False, True]
    fresh.forget()
    assert not fresh(make_inbound(b"", offset=5))


async def test_a_broker_that_does_not_answer_makes_nothing_fresh() -> None:
    fresh = Fresh(lambda: [PLACE], away)
    await fresh.learn()
    assert not fresh(make_inbound(b"", offset=5))


async def test_what_was_a_dead_letter_may_have_been_begun() -> None:
    fresh = Fresh(lambda: [PLACE], ends)
    await fresh.learn()
    assert not fresh(make_inbound(b"", offset=9, headers=((wire.DEAD_ATTEMPTS, b"1"),)))
