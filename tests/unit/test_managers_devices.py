import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from managers import Address, DeviceManager
from managers.address import Network
from models.errors import PermanentError, TransientError
from tests.unit.test_managers_servers import Answer, Server, Taken, response, says, serving

GOOD = says(200, {"ip_address": "10.20.0.15:5000"})


@asynccontextmanager
async def _asking(
    answer: Answer, networks: tuple[Network, ...] = ()
) -> AsyncIterator[tuple[DeviceManager, Server]]:
    async with serving(answer) as server:
        manager = DeviceManager(
            server.uri, cache_s=5, networks=networks, clock=lambda: 0.0, timeout_s=2
        )
        try:
            yield manager, server
        finally:
            await manager.close()


async def test_the_address_is_asked_for_once_and_kept() -> None:
    async with _asking(GOOD) as (manager, server):
        for _ in range(3):
            address = await manager.device_location_request("scanner 1/b")
            assert address == Address("10.20.0.15", 5000)
        assert [(one.method, one.target) for one in server.taken] == [
            ("GET", "/api/v1/device/scanner%201%2Fb/ip_address")
        ]
        manager.forget("scanner 1/b")
        await manager.device_location_request("scanner 1/b")
        assert len(server.taken) == 2


async def test_many_at_once_share_one_question() -> None:
    async with _asking(GOOD) as (manager, server):
        await asyncio.gather(*(manager.device_location_request("a") for _ in range(50)))
        assert len(server.taken) == 1


@pytest.mark.parametrize(
    "device_id", ["", ".", "..", "a/../b", "a//b", "/a", "a/", "x" * 257, "\ud800"]
)
async def test_an_id_that_is_no_segment_is_not_asked_for(device_id: str) -> None:
    async with _asking(GOOD) as (manager, server):
        with pytest.raises(PermanentError, match="id"):
            await manager.device_location_request(device_id)
        assert server.taken == []


@settings(max_examples=25, deadline=None)
@given(ids=st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=10))
def test_any_other_id_arrives_as_it_is(ids: list[str]) -> None:
    async def ask() -> None:
        async with _asking(GOOD) as (manager, server):
            for device_id in dict.fromkeys(ids):
                before = len(server.taken)
                try:
                    await manager.device_location_request(device_id)
                except PermanentError:
                    assert len(server.taken) == before
                    continue
                *front, segment, last = server.taken[-1].target.split("/")
                assert (front, last) == (["", "api", "v1", "device"], "ip_address")
                assert unquote(segment) == device_id

    asyncio.run(ask())


async def test_an_unknown_device_is_final() -> None:
    async with _asking(says(404, {"detail": "secret"})) as (manager, _):
        with pytest.raises(PermanentError) as caught:
            await manager.device_location_request("a")
    assert str(caught.value) == "the device manager knows no such device (404)"
    assert caught.value.status == 404


@pytest.mark.parametrize("text", ["http://10.0.0.1", "user@host", "10.0.0.1/x", "0x7f000001"])
async def test_what_is_no_address_is_refused_and_not_kept(text: str) -> None:
    async with _asking(says(200, {"ip_address": text})) as (manager, server):
        for _ in range(2):
            with pytest.raises(PermanentError) as caught:
                await manager.device_location_request("a")
            assert text not in str(caught.value)
        assert len(server.taken) == 2


async def test_an_address_outside_of_the_networks_is_refused() -> None:
    lan = (ip_network("192.168.0.0/16"),)
    async with _asking(GOOD, lan) as (manager, _):
        with pytest.raises(PermanentError, match="SCANHUB_DEVICE_NETWORKS"):
            await manager.device_location_request("a")


@pytest.mark.parametrize("content", [{}, {"ip_address": None}, {"ip_address": ""}, [], None, "x"])
async def test_a_wrong_shape_is_the_managers_fault(content: object) -> None:
    async with _asking(says(200, content)) as (manager, _):
        with pytest.raises(TransientError, match=r"wrong shape|not JSON") as caught:
            await manager.device_location_request("a")
    assert caught.value.sent


async def test_a_manager_that_is_not_set_fails_no_job() -> None:
    manager = DeviceManager("", cache_s=5, networks=(), clock=lambda: 0.0)
    with pytest.raises(TransientError) as caught:
        await manager.device_location_request("a")
    assert str(caught.value) == "no device manager is set: set DEVICE_MANAGER_URI"
    assert not caught.value.sent
    assert not await manager.probe()
    await manager.close()


async def test_one_waiting_job_that_is_cancelled_does_not_cancel_the_others() -> None:
    taken, go = asyncio.Event(), asyncio.Event()

    async def waits(_: Taken, writer: asyncio.StreamWriter) -> None:
        taken.set()
        await go.wait()
        writer.write(response(200, b'{"ip_address": "h"}'))

    async with _asking(waits) as (manager, server):
        first, second = (
            asyncio.create_task(manager.device_location_request("a")) for _ in range(2)
        )
        await taken.wait()
        first.cancel()
        await asyncio.wait([first])
        go.set()
        assert await second == Address("h")
        assert len(server.taken) == 1
