import json

from tests.contracts.conftest import Managers
from tests.contracts.openapi import example

BASE = "/api/v1/mri/sequences/"
ONE = BASE + "{mri_sequence_id}"
FILE = BASE + "mri-sequence-file/{mri_sequence_id}"
KNOWN = example("sequence-out")["_id"]
UNKNOWN = "0" * 24


async def test_a_sequence_is_read(managers: Managers) -> None:
    client = await managers()
    got = await client.checked("sequence", "GET", ONE, mri_sequence_id=KNOWN)
    assert json.loads(got.body) == example("sequence-out")
    upper = await client.checked("sequence", "GET", ONE, mri_sequence_id=KNOWN.upper())
    assert upper.body == got.body
    listed = await client.checked("sequence", "GET", BASE)
    assert json.loads(listed.body) == [example("sequence-out")]


async def test_its_file_is_given_as_bytes(managers: Managers) -> None:
    client = await managers()
    got = await client.checked("sequence", "GET", FILE, mri_sequence_id=KNOWN)
    assert got.body == example("sequence-out")["file"].encode()
    assert got.headers["Content-Disposition"] == "attachment; filename=sequence.seq"
    missing = await client.checked("sequence", "GET", FILE, mri_sequence_id=UNKNOWN)
    assert json.loads(missing.body) == {"detail": "Binary data not found"}


async def test_an_unknown_sequence_is_404(managers: Managers) -> None:
    client = await managers()
    for method in ("GET", "DELETE"):
        got = await client.checked("sequence", method, ONE, mri_sequence_id=UNKNOWN)
        assert (got.status, json.loads(got.body)) == (404, example("error-404-sequence"))


async def test_what_is_no_object_id_is_a_500_in_json(managers: Managers) -> None:
    client = await managers()
    got = await client.checked("sequence", "GET", ONE, mri_sequence_id="abc")
    assert (got.status, json.loads(got.body)) == (500, example("error-500-sequence-id"))


async def test_a_file_that_is_not_utf8_breaks_the_list_too(managers: Managers) -> None:
    client = await managers()
    seed = {"sequences": [{"_id": UNKNOWN, "file": None}]}
    await client.control("sequence", "POST", "seed", seed)
    assert (await client.checked("sequence", "GET", BASE)).status == 500
    broken = await client.checked("sequence", "GET", ONE, mri_sequence_id=UNKNOWN)
    assert broken.status == 500
    well = await client.checked("sequence", "GET", ONE, mri_sequence_id=KNOWN)
    assert well.status == 200


async def test_sequences_are_made_replaced_and_deleted(managers: Managers) -> None:
    client = await managers()
    made = await client.checked("sequence", "POST", BASE, {"name": "a", "file": "x"})
    sequence_id = json.loads(made.body)["_id"]
    change = {"name": "b", "file": "y"}
    put = await client.checked("sequence", "PUT", ONE, change, mri_sequence_id=sequence_id)
    assert json.loads(put.body)["name"] == "b"
    gone = await client.checked("sequence", "DELETE", ONE, mri_sequence_id=sequence_id)
    assert gone.status == 204
    assert (await client.checked("sequence", "POST", BASE, {})).status == 422


async def test_the_wrong_slash_is_redirected(managers: Managers) -> None:
    client = await managers()
    assert (await client.call("sequence", "GET", BASE[:-1])).status == 307
    assert (await client.call("sequence", "GET", f"{BASE}{KNOWN}/")).status == 307


async def test_health(managers: Managers) -> None:
    client = await managers()
    await client.checked("sequence", "GET", "/health")
    await client.checked("sequence", "GET", "/readiness")
