import json

from tests.contracts.conftest import Managers
from tests.contracts.openapi import example

DEVICE = "/api/v1/device/{device_id}"


async def test_a_device_is_read(managers: Managers) -> None:
    client = await managers()
    for template, wanted in [
        (DEVICE, "device-out"),
        (DEVICE + "/ip_address", "device-ip-address"),
        (DEVICE + "/status", "device-status"),
    ]:
        got = await client.checked("device", "GET", template, device_id="mri-0001")
        assert json.loads(got.body) == example(wanted)
    listed = await client.checked("device", "GET", "/api/v1/device/")
    assert json.loads(listed.body) == [example("device-out")]


async def test_an_unknown_device_is_404(managers: Managers) -> None:
    client = await managers()
    for template in (DEVICE, DEVICE + "/ip_address", DEVICE + "/status"):
        got = await client.checked("device", "GET", template, device_id="mri-9")
        assert (got.status, json.loads(got.body)) == (404, example("error-404-device"))
    assert (await client.checked("device", "DELETE", DEVICE, device_id="mri-9")).status == 404


async def test_an_id_may_be_any_text(managers: Managers) -> None:
    client = await managers()
    seed = {"devices": [{"id": "Gerät 1?#", "ip_address": "127.0.0.1:1"}]}
    await client.control("device", "POST", "seed", seed)
    got = await client.call("device", "GET", "/api/v1/device/Ger%C3%A4t%201%3F%23/ip_address")
    assert json.loads(got.body) == {"ip_address": "127.0.0.1:1"}


async def test_a_device_that_was_never_updated_is_a_plain_500(managers: Managers) -> None:
    client = await managers()
    seed = {"devices": [{"id": "new", "ip_address": "127.0.0.1:1", "datetime_updated": None}]}
    await client.control("device", "POST", "seed", seed)
    assert (await client.checked("device", "GET", DEVICE, device_id="new")).is_plain_500
    assert (await client.checked("device", "GET", "/api/v1/device/")).is_plain_500
    address = await client.checked("device", "GET", DEVICE + "/ip_address", device_id="new")
    assert address.status == 200


async def test_a_device_is_deleted(managers: Managers) -> None:
    client = await managers()
    gone = await client.checked("device", "DELETE", DEVICE, device_id="mri-0001")
    assert gone.status == 204
    assert (await client.checked("device", "GET", "/api/v1/device/")).body == b"[]"


async def test_the_wrong_slash_is_redirected(managers: Managers) -> None:
    client = await managers()
    assert (await client.call("device", "GET", "/api/v1/device")).status == 307
    assert (await client.call("device", "GET", "/api/v1/device/mri-0001/")).status == 307


async def test_health(managers: Managers) -> None:
    client = await managers()
    await client.checked("device", "GET", "/api/v1/device/health/readiness")
