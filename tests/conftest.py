"""What all tests share: one real broker for the whole run, and topics of their own for each test.

Fixtures for managers, devices and workers live in tests/integration/conftest.py.
"""

import os
from collections.abc import Awaitable, Callable, Generator, Iterator
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from sandbox.kafka import EmbeddedKafka, KafkaUnavailableError

MakeTopic = Callable[..., Awaitable[str]]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """Give the broker of this run. Tests that hurt their broker start one of their own."""
    broker = EmbeddedKafka(tmp_path_factory.mktemp("kafka"))
    start_or_skip(broker)
    yield broker
    broker.stop()


def start_or_skip(broker: EmbeddedKafka) -> None:
    """Start a broker; where none can run, skip the test. In CI that is a failure: nobody looks."""
    try:
        broker.start()
    except KafkaUnavailableError as error:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            raise
        pytest.skip(f"no embedded Kafka: {error}")


@pytest.fixture
def topic_prefix() -> str:
    """Give a prefix for the topics and groups of one test, so that no test sees another's."""
    return f"t{uuid4().hex[:10]}."


@pytest.fixture
def make_topic(kafka: EmbeddedKafka, topic_prefix: str) -> MakeTopic:
    """Give a function that makes a topic of this test and gives its full name."""

    async def make(name: str, partitions: int = 1, **configs: str) -> str:
        return await create_topic(kafka.bootstrap, f"{topic_prefix}{name}", partitions, **configs)

    return make


async def create_topic(bootstrap: str, name: str, partitions: int = 1, **configs: str) -> str:
    """Make a topic; dots in a setting's name are written as underscores. Give its name."""
    settings = {key.replace("_", "."): value for key, value in configs.items()}
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        answer = await client.create_topics(
            [NewTopic(name, partitions, 1, topic_configs=settings)], timeout_ms=10_000
        )
    finally:
        await client.close()
    for _, code, *text in answer.topic_errors:
        assert code == 0, f"{name}: {text}"
    return name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a broker, so that `pytest -m "not broker"` leaves it out."""
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker("broker")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the log of each broker that a failing test used."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, EmbeddedKafka):
                report.sections.append((f"the end of {value.log_file} ({name})", value.tail()))
    return report
