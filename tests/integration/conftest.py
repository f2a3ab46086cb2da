"""Houses for tests: one that many tests share, and a way to build one's own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
import pytest_asyncio

from sandbox.kafka import EmbeddedKafka
from tests.integration.house import House

BuildHouse = Callable[..., Awaitable[House]]


@pytest_asyncio.fixture(scope="session")
async def house(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Give the shared house: integer era, device dialect `task`, two scanners, one worker."""
    folder = tmp_path_factory.mktemp("house")
    async with House(kafka, folder, f"h{uuid4().hex[:8]}.") as shared:
        await shared.furnish("mri-1", "mri-2")
        yield shared


@pytest_asyncio.fixture
async def make_house(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BuildHouse]:
    """Give a function that builds a house of one's own; it is left when the test ends."""
    async with AsyncExitStack() as stack:

        async def build(**settings: str) -> House:
            folder = tmp_path_factory.mktemp("house")
            own = House(kafka, folder, f"h{uuid4().hex[:8]}.", **settings)
            return await stack.enter_async_context(own)

        yield build


@pytest_asyncio.fixture(scope="session")
async def fragile(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """A house whose managers and scanners are made to fail, by one test after the other."""
    folder = tmp_path_factory.mktemp("fragile")
    async with House(
        kafka,
        folder,
        f"h{uuid4().hex[:8]}.",
        SCANHUB_CACHE_S="0",
        SCANHUB_HTTP_TIMEOUT_S="1",
        SCANHUB_RETRY_FIRST_S="0.2",
        SCANHUB_RETRY_MOST_S="1",
    ) as house:
        await house.furnish("mri-1", "mri-2")
        yield house
