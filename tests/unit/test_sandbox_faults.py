"""The faults of a simulated service, seen by a client; the log is what tests count by."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.managers.knobs import Faults, Knobs
from sandbox.managers.run import Addresses, Options, running

RECORD = "/api/v1/exam/record"
READY = "/api/v1/exam/health/readiness"


class Bench:
    def __init__(
        self, session: aiohttp.ClientSession, addresses: Addresses, log: Path, service: str = "exam"
    ) -> None:
        self.session = session
        self.url = addresses.services[service]
        self.control_url = f"{addresses.control[service]}/_sandbox/"
        self._log = log

    async def knobs(self, **knobs: Any) -> Any:
        return await self.control("POST", "knobs", knobs)

    async def control(self, method: str, name: str, body: Any = None) -> Any:
        async with self.session.request(method, self.control_url + name, json=body) as got:
            assert got.status == 200, await got.text()
            return await got.json()

    async def post(self) -> int:
        async with self.session.post(self.url + RECORD, json={"job_id": 1}) as got:
            return got.status

    async def post_in_vain(self, lines: int) -> None:
        """Post, wait until the log has so many lines, see that no answer comes, and give up."""
        waiting = asyncio.create_task(self.post())
        await self.logged(lines)
        _, pending = await asyncio.wait({waiting}, timeout=0.05)
        assert pending
        waiting.cancel()

    async def ready(self) -> int:
        async with self.session.get(self.url + READY) as got:
            return got.status

    async def records(self) -> int:
        return len(await self.control("GET", "records"))

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    async def logged(self, lines: int) -> None:
        """Wait until so many requests are in the log."""
        while len(self.log()) < lines:  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.005)

    def outcomes(self) -> list[str]:
        return [line["outcome"] for line in self.log()]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    log = tmp_path / "requests.jsonl"
    async with (
        running(Options(any_job=True, log=log, services=("exam",))) as addresses,
        aiohttp.ClientSession() as session,
    ):
        yield Bench(session, addresses, log)


async def test_every_request_is_logged_before_its_answer(bench: Bench) -> None:
    headers = {"request-id": "r-1"}
    url = f"{bench.url}{RECORD}?a=b"
    async with bench.session.post(url, json={"job_id": "1"}, headers=headers) as got:
        assert got.status == 201
    (line,) = bench.log()
    assert line.pop("wall") > 1e9
    assert line.pop("mono") > 0
    assert line == {
        "service": "exam",
        "method": "POST",
        "path": RECORD,
        "query": "a=b",
        "status": 201,
        "outcome": "answered",
        "body": {"job_id": "1"},
        "request_id": "r-1",
    }


async def test_the_log_holds_no_patient(bench: Bench) -> None:
    limits = {"patient_height": 178.5, "patient_weight": 74.5, "patient_age": 41}
    task = {"args": {"acquisition_limits": json.dumps(limits)}, "acquisition_limits": limits}
    async with bench.session.put(f"{bench.url}/api/v1/exam/task/x", json=task) as got:
        assert got.status == 422
        answer = await got.text()
    (line,) = bench.log()
    hidden = {"acquisition_limits": "(hidden)"}
    assert line["body"] == {"args": hidden} | hidden
    assert not re.search(r"178\.5|74\.5", json.dumps(line) + answer)


async def test_a_body_that_is_long_or_no_json_is_only_measured(bench: Bench) -> None:
    for data in (b"\xff" * 10, json.dumps({"comment": "x" * 3000}).encode()):
        async with bench.session.post(bench.url + RECORD, data=data) as got:
            assert got.status == 422
    assert [line["body"] for line in bench.log()] == [
        "(10 bytes, not JSON)",
        {"comment": "(3000 characters)"},
    ]


async def test_dropped_before_nothing_is_done(bench: Bench) -> None:
    await bench.knobs(drop_before=1)
    with pytest.raises(aiohttp.ClientError):
        await bench.post()
    assert await bench.records() == 0
    assert await bench.post() == 201
    assert bench.outcomes() == ["dropped-before", "answered"]


async def test_dropped_after_the_record_is_there(bench: Bench) -> None:
    await bench.knobs(rules=[{"method": "POST", "path": "*/record", "drop_after": 2}])
    for _ in range(2):
        with pytest.raises(aiohttp.ClientError):
            await bench.post()
    assert await bench.ready() == 200
    assert await bench.post() == 201
    assert await bench.records() == 3
    assert bench.outcomes() == ["dropped-after", "dropped-after", "answered", "answered"]
    assert bench.log()[0]["status"] is None


async def test_errors_by_number_and_by_rate(bench: Bench) -> None:
    await bench.knobs(errors=1)
    assert [await bench.post(), await bench.post()] == [500, 201]
    await bench.knobs(error_rate=1)
    assert [await bench.post(), await bench.ready()] == [500, 500]
    await bench.control("POST", "reset")
    assert await bench.ready() == 200
    assert await bench.records() == 1


async def test_an_outage_of_500_takes_health_too(bench: Bench) -> None:
    await bench.knobs(outage="500")
    assert [await bench.post(), await bench.ready()] == [500, 500]
    await bench.knobs()
    assert [await bench.post(), await bench.ready()] == [201, 200]


async def test_a_refused_connection_is_refused_and_comes_back_at_its_port(bench: Bench) -> None:
    assert await bench.ready() == 200  # leaves an open connection, which is cut too
    await bench.knobs(outage="refuse")
    for _ in range(2):
        with pytest.raises(aiohttp.ClientConnectorError) as refused:
            await bench.ready()
        assert isinstance(refused.value.os_error, ConnectionRefusedError)
    await bench.knobs()
    assert await bench.ready() == 200


async def test_refusing_may_be_ordered_at_the_port_itself(bench: Bench) -> None:
    url = f"{bench.url}/_sandbox/knobs"
    async with bench.session.post(url, json={"outage": "refuse"}) as got:
        assert got.status == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        await bench.ready()
    await bench.control("POST", "reset")
    assert await bench.ready() == 200


async def test_closing_hangs_up_on_everybody(bench: Bench) -> None:
    await bench.knobs(outage="close")
    with pytest.raises(aiohttp.ClientError) as dropped:
        await bench.post()  # not a GET: aiohttp's client would quietly try that a second time
    assert not isinstance(dropped.value, aiohttp.ClientConnectorError)
    assert bench.outcomes() == ["outage-close"]


async def test_hanging_never_answers_and_drops_when_it_ends(bench: Bench) -> None:
    await bench.knobs(outage="hang")
    await bench.post_in_vain(1)
    waiting = asyncio.create_task(bench.post())
    await bench.logged(2)
    await bench.knobs()
    with pytest.raises(aiohttp.ClientError):
        await waiting
    assert await bench.records() == 0
    assert bench.outcomes() == ["outage-hang"] * 2


async def test_work_is_done_even_if_the_client_gives_up_waiting(bench: Bench) -> None:
    await bench.knobs(latency_ms=100, drop_after=1)
    waiting = asyncio.create_task(bench.post())
    while (await bench.control("GET", "knobs"))["drop_after"]:
        pass  # until the request has met its fault
    waiting.cancel()
    await bench.logged(1)
    assert await bench.records() == 1


async def test_an_answer_may_take_long(bench: Bench) -> None:
    await bench.knobs(answer_latency_ms=60_000)
    await bench.post_in_vain(1)
    assert await bench.records() == 1


async def test_hung_after_the_record_is_there(bench: Bench) -> None:
    await bench.knobs(hang_after=1)
    await bench.post_in_vain(1)
    assert await bench.records() == 1
    assert bench.outcomes() == ["hung-after"]


async def test_another_status_may_be_answered(bench: Bench) -> None:
    await bench.knobs(answer_status=500)
    assert await bench.post() == 500
    assert await bench.records() == 1
    assert bench.outcomes() == ["answered-otherwise"]


async def test_knobs_are_shown_and_count_down(bench: Bench) -> None:
    shown = await bench.knobs(rules=[{"path": RECORD, "errors": 2}])
    assert shown["rules"][0]["errors"] == 2
    await bench.post()
    assert (await bench.control("GET", "knobs"))["rules"][0]["errors"] == 1


@pytest.mark.parametrize(
    "wrong", [{"latency": 5}, {"error_rate": 2}, {"rules": [{"outage": "refuse"}]}, {"outage": "x"}]
)
async def test_wrong_knobs_are_422(bench: Bench, wrong: object) -> None:
    async with bench.session.post(f"{bench.control_url}knobs", json=wrong) as got:
        assert got.status == 422


async def test_a_reset_may_take_the_data_too(bench: Bench) -> None:
    await bench.post()
    await bench.control("POST", "reset", {"data": False})
    assert await bench.records() == 1
    await bench.control("POST", "reset", {"data": True})
    assert await bench.records() == 0


async def test_what_the_control_port_does_not_know_is_404(bench: Bench) -> None:
    base = bench.control_url.removesuffix("exam/_sandbox/")
    for path in ("", "nobody/_sandbox/knobs", "exam/_sandbox/nothing"):
        async with bench.session.get(base + path) as got:
            assert got.status == 404


def test_rates_repeat_with_their_seed() -> None:
    def outcomes(seed: int) -> list[str]:
        faults = Faults(Knobs(seed=seed, error_rate=0.5))
        return [faults.plan("GET", "/").cause for _ in range(50)]

    assert outcomes(1) == outcomes(1) != outcomes(2)
    assert 10 < outcomes(1).count("error") < 40
