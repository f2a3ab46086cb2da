"""Topics that are not ours: whether they are there, and what is sent to one that is not."""

import asyncio
from collections.abc import Awaitable, Iterable
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from faust.exceptions import ProducerSendError

from models.errors import PermanentError, TransientError
from streams import brokertopics, outbox
from streams.brokertopics import FRESH_S, BrokerTopics
from streams.provision import Finding
from streams.topics import TopicSpec
from tests.unit.test_streams_fakes import FakeProducer, HandClock, make_outbox


class Looking:
    """A provisioner that knows some topics, and counts how often it is asked."""

    def __init__(self) -> None:
        self.there = {"denoise"}
        self.asked: list[list[str]] = []
        self.error: Exception | None = None

    def __call__(self, _: str) -> "Looking":
        return self

    async def __aenter__(self) -> Self:
        if self.error is not None:
            raise self.error
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def look(self, specs: Iterable[TopicSpec], *, make: bool) -> list[Finding]:
        assert not make
        names = [spec.name for spec in specs]
        self.asked.append(names)
        return [Finding(name, missing=name not in self.there) for name in names]


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> Looking:
    made = Looking()
    monkeypatch.setattr(brokertopics, "Provisioner", made)
    return made


async def test_what_is_there_is_asked_for_once_in_a_while(looking: Looking) -> None:
    clock = HandClock()
    topics = BrokerTopics("broker", clock.monotonic)
    found = await asyncio.gather(*(topics.missing(["denoise"]) for _ in range(5)))
    assert found == [set()] * 5
    assert looking.asked == [["denoise"]]
    looking.there.clear()
    clock.move(FRESH_S)
    assert await topics.missing(["denoise"]) == {"denoise"}


async def test_what_is_not_there_is_asked_for_again(looking: Looking) -> None:
    topics = BrokerTopics("broker", HandClock().monotonic)
    assert await topics.missing(["new", "denoise"]) == {"new"}
    looking.there.add("new")
    assert await topics.missing(["new", "denoise"]) == set()
    assert looking.asked == [["new", "denoise"], ["new"]]


@pytest.mark.parametrize("error", [KafkaConnectionError(), OSError(), TimeoutError()])
async def test_a_broker_that_does_not_tell_may_tell_later(
    looking: Looking, error: Exception
) -> None:
    looking.error = error
    with pytest.raises(TransientError, match="which topics"):
        await BrokerTopics("broker", HandClock().monotonic).missing(["denoise"])


async def test_a_message_to_a_topic_that_is_there_is_at_the_broker_on_return() -> None:
    producer = FakeProducer()
    await make_outbox(producer).deliver_elsewhere("denoise", b"k", b"v", [("h", b"1")])
    [sent] = producer.on("denoise")
    assert (sent.key, sent.value, sent.header) == (b"k", b"v", {"h": b"1"})


@pytest.mark.parametrize("error", [UnknownTopicOrPartitionError(), TopicAuthorizationFailedError()])
async def test_a_topic_that_takes_nothing_is_no_reason_to_stop(error: Exception) -> None:
    producer = FakeProducer(error=error)
    with pytest.raises(PermanentError, match="topic gone can't be sent to"):
        await make_outbox(producer).deliver_elsewhere("gone", b"k", b"v")


async def test_a_producer_that_waits_for_a_topic_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "METADATA_S", 0.01)

    async def hangs(*_: Any) -> Awaitable[Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def refuses(*_: Any) -> Awaitable[Any]:
        raise ProducerSendError("not permitted")

    for send in (hangs, refuses):
        box = make_outbox(cast("Any", SimpleNamespace(send=send)))
        with pytest.raises(PermanentError, match="topic gone can't be sent to"):
            await box.deliver_elsewhere("gone", b"k", b"v")
