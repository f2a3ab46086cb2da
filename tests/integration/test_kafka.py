"""The embedded broker itself: what every other integration test stands on."""

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from sandbox.kafka import EmbeddedKafka, KafkaFailedError
from sandbox.kafka.leftover import end_leftover, is_broker
from sandbox.kafka.probe import is_ready
from sandbox.processes import ProcessGroup
from tests.conftest import MakeTopic, create_topic, start_or_skip

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """Give a broker that may be hurt."""
    broker = EmbeddedKafka(tmp_path_factory.mktemp("victim"))
    start_or_skip(broker)
    yield broker
    broker.stop()


async def test_messages_come_back_and_offsets_are_kept(
    kafka: EmbeddedKafka, make_topic: MakeTopic, topic_prefix: str
) -> None:
    topic = await make_topic("plain", partitions=3)
    sent = [f"message {number}".encode() for number in range(30)]
    async with _producer(kafka) as producer:
        for value in sent:
            await producer.send_and_wait(topic, value)
    async with _consumer(kafka, topic, group=f"{topic_prefix}group") as consumer:
        got = [(await consumer.getone()).value for _ in sent]
        await consumer.commit()
        positions = [await consumer.committed(one) for one in consumer.assignment()]
    assert sorted(got) == sorted(sent)
    assert sum(filter(None, positions)) == len(sent)


async def test_a_message_of_32_mib_passes(kafka: EmbeddedKafka, make_topic: MakeTopic) -> None:
    limit = 32 * MIB
    topic = await make_topic("big", max_message_bytes=str(limit))
    value = os.urandom(limit - 1024)  # the batch's own header counts too
    async with _producer(kafka) as producer:
        for _ in range(3):
            await producer.send_and_wait(topic, value)
    async with _consumer(kafka, topic) as consumer:
        for _ in range(3):
            assert (await consumer.getone()).value == value


async def test_a_topic_that_nobody_made_is_not_made(
    kafka: EmbeddedKafka, topic_prefix: str
) -> None:
    async with _producer(kafka, request_timeout_ms=500) as producer:
        with pytest.raises(KafkaError):
            await producer.send_and_wait(f"{topic_prefix}typo", b"lost?")


async def test_a_killed_broker_comes_back_with_its_messages(
    victim: EmbeddedKafka, topic_prefix: str
) -> None:
    topic = await create_topic(victim.bootstrap, f"{topic_prefix}kept")
    address = victim.bootstrap
    async with _producer(victim) as producer:
        await producer.send_and_wait(topic, b"before")
        victim.kill()
        assert not victim.running
        victim.start()
        await producer.send_and_wait(topic, b"after")  # the same client, at the same address
    assert victim.bootstrap == address
    async with _consumer(victim, topic) as consumer:
        assert [(await consumer.getone()).value for _ in range(2)] == [b"before", b"after"]


async def test_a_frozen_broker_answers_again_when_thawed(
    victim: EmbeddedKafka, topic_prefix: str
) -> None:
    topic = await create_topic(victim.bootstrap, f"{topic_prefix}frozen")
    async with _producer(victim) as producer:
        await producer.send_and_wait(topic, b"before")
        victim.freeze()
        try:
            assert victim.running
            assert not is_ready(victim.port, timeout=0.3)
            waiting = await producer.send(topic, b"meanwhile")
        finally:
            victim.thaw()
        await waiting
    async with _consumer(victim, topic) as consumer:
        assert [(await consumer.getone()).value for _ in range(2)] == [b"before", b"meanwhile"]


def test_a_frozen_broker_can_be_stopped(victim: EmbeddedKafka) -> None:
    victim.freeze()
    victim.stop()
    assert not victim.running
    victim.start()


def test_a_folder_has_one_owner(victim: EmbeddedKafka) -> None:
    with pytest.raises(KafkaFailedError, match="another process runs a broker in"):
        EmbeddedKafka(victim.folder).start()
    assert is_ready(victim.port)


def test_a_taken_port_is_refused(victim: EmbeddedKafka, tmp_path: Path) -> None:
    with pytest.raises(KafkaFailedError, match=f"port {victim.port} is taken"):
        EmbeddedKafka(tmp_path, port=victim.port).start()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_leftover_of_an_earlier_run_is_ended(victim: EmbeddedKafka) -> None:
    left = victim.pid
    assert left is not None
    victim._owner.release()  # as if its owner had died
    victim._ports.release()
    with EmbeddedKafka(victim.folder, port=victim.port) as heir:
        assert heir.pid != left
        assert not victim.running
    victim.start()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_number_that_is_another_process_now_is_left_alone(tmp_path: Path) -> None:
    pid_file = tmp_path / "broker.pid"
    pid_file.write_text(str(os.getpid()))
    assert not end_leftover(pid_file, tmp_path / "server.properties")
    assert not pid_file.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_a_broker_ends_with_its_killed_parent(victim: EmbeddedKafka, tmp_path: Path) -> None:
    assert victim.running  # a broker can run here
    with ProcessGroup(tmp_path) as processes:
        folder = tmp_path / "broker"
        parent = processes.start("parent", [*_BY_HAND, "--folder", folder])
        parent.wait_for_line("127.0.0.1:", timeout=60)
        pid = int((folder / "broker.pid").read_text())
        parent.kill()
        _until(
            lambda: not is_broker(pid, folder / "server.properties"), "the broker is still there"
        )


def test_by_hand_it_prints_its_address_and_stops_at_sigterm(
    victim: EmbeddedKafka, tmp_path: Path
) -> None:
    assert victim.running  # a broker can run here
    with ProcessGroup(tmp_path) as processes:
        program = processes.start("by-hand", _BY_HAND)
        address = program.wait_for_line("127.0.0.1:", timeout=60)
        port = int(address.rpartition(":")[2])
        assert is_ready(port)
        assert program.terminate(timeout=20) == 128 + signal.SIGTERM
        assert not is_ready(port)


_BY_HAND = [sys.executable, "-m", "sandbox.kafka"]


@asynccontextmanager
async def _producer(kafka: EmbeddedKafka, **options: int) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap, max_request_size=33 * MIB, **options
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def _consumer(
    kafka: EmbeddedKafka, topic: str, group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


def _until(condition: Callable[[], bool], failure: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, failure
        time.sleep(0.02)
