"""Managers that ask for tokens: one login for all, renewed when it is refused, seen nowhere."""

from uuid import uuid4

from models import wire
from tests.integration.conftest import BuildHouse
from tests.integration.house import House, scan_job

USER, PASSWORD = "processor", "open-sesame-7"


async def run(house: House, number: int) -> str:
    request = f"k{number}-{uuid4().hex[:8]}"
    await house.history.produce(
        wire.SCAN_JOBS, scan_job("mri-1", number), key="mri-1", headers={"request-id": request}
    )
    await house.history.reaches(request, "COMPLETED")
    return request


async def test_jobs_run_with_one_login_which_is_renewed(make_house: BuildHouse) -> None:
    house = await make_house(SCANHUB_USER=USER, SCANHUB_CACHE_S="0")
    secret = house.folder / "password"
    secret.write_text(f"{PASSWORD}\n")
    house.settings["SCANHUB_PASSWORD_FILE"] = str(secret)
    await house.start_managers("integer", "--tokens", "--user", USER, "--password", PASSWORD)
    house.settings["LOGIN_MANAGER_URI"] = house.services["login"]
    await house.start_device("mri-1")
    house.start_reconstruction()
    await house.start_worker("w1")
    await house.history.__aenter__()

    await run(house, 1)
    await run(house, 2)
    assert len(house.requests("login", "POST")) == 1, "one token for all managers"
    ended = await house.http.post(f"{house.controls['login']}/_sandbox/end-tokens")
    ended.raise_for_status()
    await run(house, 3)
    assert len(house.requests("login", "POST")) == 2, "renewed once, whoever was refused"
    records = await house.records()
    assert len(records) == 3, "a refused call made nothing"

    log = house.workers["w1"].log_file.read_text()
    told = "".join(str(event) for event in house.history.events)
    assert PASSWORD not in log + told
    code, said = await house.command("doctor")
    assert PASSWORD not in said
    assert code == 0, said
