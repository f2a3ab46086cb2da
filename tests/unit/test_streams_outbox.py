"""The outbox: what `deliver` returned from is at the broker; a refusal is never just a log line."""

import asyncio

import pytest
from aiokafka.errors import (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotEnoughReplicasError,
    RecordListTooLargeError,
)
from faust.exceptions import ProducerSendError

import streams.outbox as module
from models import wire
from models.errors import FatalError, PermanentError
from streams.clock import Clock
from streams.outbox import Outbox, standard_headers
from streams.topics import Topics, partition_of
from tests.unit.test_streams_fakes import FakeProducer, make_outbox, settle_loop


async def test_deliver_waits_for_the_broker_and_put_does_not() -> None:
    producer = FakeProducer(silent=True)
    outbox = make_outbox(producer)
    await outbox.put(wire.SCAN_EVENTS, b"k", b"v")
    delivering = asyncio.ensure_future(outbox.deliver(wire.RECO_JOBS, b"k", b"v"))
    await settle_loop()
    assert len(producer.sent) == 2
    assert not delivering.done()
    delivering.cancel()


async def test_real_names_are_used_and_unknown_topics_refused() -> None:
    producer = FakeProducer()
    topics = Topics(prefix="p.", renamed={wire.RECO_JOBS: "reco"})
    outbox = Outbox(lambda: producer, topics, Clock())
    await outbox.deliver(wire.RECO_JOBS, b"k", b"v", [("h", b"1")], partition=0)
    with pytest.raises(KeyError):
        await outbox.deliver("p.reco", b"k", b"v")
    (sent,) = producer.sent
    assert (sent.topic, sent.partition, sent.headers) == ("p.reco", 0, [("h", b"1")])


@pytest.mark.parametrize(("topic", "count"), [(wire.SCAN_EVENTS, 8), (wire.RECO_JOBS, 3)])
async def test_a_key_has_its_partition_by_its_topics_count(topic: str, count: int) -> None:
    producer = FakeProducer()
    outbox = Outbox(lambda: producer, Topics(partitions=8, reco_partitions=3), Clock())
    for number in range(20):
        await outbox.deliver(topic, b"%d" % number, b"v")
    assert [one.partition for one in producer.sent] == [
        partition_of(b"%d" % number, count) for number in range(20)
    ]
    await outbox.deliver(topic, None, b"v")
    assert producer.sent[-1].partition is None, "without a key the producer chooses"


async def test_a_step_goes_to_its_owners_partition() -> None:
    producer = FakeProducer()
    await make_outbox(producer).deliver_step(wire.DEVICE_STEPS, "d\u00fc", b"{}")
    key = "d\u00fc".encode()
    assert (producer.sent[0].key, producer.sent[0].partition) == (key, partition_of(key, 8))


@pytest.mark.parametrize("error", [MessageSizeTooLargeError(), RecordListTooLargeError()])
async def test_a_size_that_the_broker_refuses_is_permanent(error: Exception) -> None:
    with pytest.raises(PermanentError):
        await make_outbox(FakeProducer(error=error)).deliver(wire.RECO_JOBS, b"k", b"v")


async def test_a_size_that_the_producer_refuses_is_permanent() -> None:
    class Strict(FakeProducer):
        async def send(self, *_: object) -> asyncio.Future[object]:
            raise ProducerSendError("no") from MessageSizeTooLargeError()

    with pytest.raises(PermanentError):
        await make_outbox(Strict()).deliver(wire.RECO_JOBS, b"k", b"v")


@pytest.mark.parametrize(
    "error", [NotEnoughReplicasError("secret"), KafkaTimeoutError("secret"), ProducerSendError("x")]
)
async def test_any_other_refusal_is_fatal(error: Exception) -> None:
    with pytest.raises(FatalError) as caught:
        await make_outbox(FakeProducer(error=error)).deliver(wire.RECO_JOBS, b"k", b"v")
    assert "secret" not in str(caught.value)


async def test_what_was_put_is_confirmed_or_refused_later() -> None:
    outbox = make_outbox(FakeProducer())
    metadata = await outbox.confirm(await outbox.put(wire.SCAN_EVENTS, b"k", b"v"))
    assert metadata.offset == 0
    refusing = make_outbox(FakeProducer(error=NotEnoughReplicasError()))
    sending = await refusing.put(wire.SCAN_EVENTS, b"k", b"v")
    with pytest.raises(FatalError):
        await refusing.confirm(sending)


async def test_a_broker_that_does_not_answer_is_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEND_LIMIT_S", 0.0)
    with pytest.raises(FatalError):
        await make_outbox(FakeProducer(silent=True)).deliver(wire.RECO_JOBS, b"k", b"v")


@pytest.mark.parametrize("log_append_time", [True, False])
async def test_only_the_brokers_own_time_teaches_the_clock(*, log_append_time: bool) -> None:
    clock, producer = Clock(), FakeProducer(log_append_time=log_append_time, timestamp_ms=1_000)
    await make_outbox(producer, clock).deliver(wire.RECO_JOBS, b"k", b"v")
    assert (clock.broker_ms() < 100_000_000) is log_append_time


def test_every_message_of_ours_carries_its_ids_and_the_trace() -> None:
    assert standard_headers("r", "m", (("traceparent", b"t"),)) == [
        ("request-id", b"r"),
        ("message-id", b"m"),
        ("traceparent", b"t"),
    ]
