"""What holds for every manager, shown with one whose questions are its statuses."""

import asyncio
import gzip
import logging
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from managers.client import SMALL, Manager, OversizeError, Question
from models.errors import PermanentError, TransientError
from tests.unit.test_managers_servers import (
    Answer,
    Server,
    Taken,
    drops,
    free_port,
    full_backlog,
    is_silent,
    response,
    says,
    sends,
    serving,
)

SECRET = "Erika Mustermann"


class Oracle(Manager):
    name = "oracle"
    setting = "ORACLE_URI"
    health = ("/health",)

    async def ask(self, method: str = "GET") -> bytes:
        question = Question(
            method=method,
            path=f"/answer?who={SECRET.replace(' ', '%20')}",
            asked="for an answer",
            says={404: "knows no such answer"},
        )
        return await self._ask(question)


@asynccontextmanager
async def _asking(
    answer: Answer, timeout_s: float = 2, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Oracle, Server]]:
    async with serving(answer, tls=tls) as server:
        oracle = Oracle(server.uri, timeout_s=timeout_s)
        try:
            yield oracle, server
        finally:
            await oracle.close()


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (301, "redirects"),
        (303, "redirects"),
        (307, "redirects"),
        (304, "redirects"),
        (400, "refused (400) when asked for an answer"),
        (404, "the oracle knows no such answer (404)"),
        (405, "refused"),
        (413, "refused"),
        (422, "refused"),
    ],
)
async def test_what_will_not_change_is_permanent(status: int, sentence: str) -> None:
    more = f"location: /elsewhere/{SECRET}\r\n"
    content = None if status == 304 else {"detail": SECRET}  # 304 has no body
    async with _asking(says(status, content, more=more)) as (oracle, server):
        with pytest.raises(PermanentError) as caught:
            await oracle.ask()
    assert sentence in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.status == status
    assert len(server.taken) == 1, "no redirect is followed, nothing is repeated"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (202, "unexpected answer (202)"),
        (206, "unexpected answer (206)"),
        (401, "wants a valid token (401)"),
        (403, "wants a valid token (403)"),
        (408, "too busy (408)"),
        (425, "too busy (425)"),
        (429, "too busy (429)"),
        (500, "failed (500)"),
        (503, "failed (503)"),
        (599, "failed (599)"),
    ],
)
async def test_what_may_change_is_transient(status: int, sentence: str) -> None:
    async with _asking(says(status, {"detail": SECRET})) as (oracle, server):
        with pytest.raises(TransientError) as caught:
            await oracle.ask()
    assert sentence in str(caught.value)
    assert SECRET not in str(caught.value)
    assert (caught.value.status, caught.value.sent) == (status, True)
    assert len(server.taken) == (2 if status == 503 else 1)  # busy for a moment: asked once more


async def test_a_get_that_is_dropped_once_goes_well(caplog: pytest.LogCaptureFixture) -> None:
    async def drops_the_first(_: Taken, writer: asyncio.StreamWriter) -> None:
        if len(server.taken) == 1:
            writer.close()
        else:
            writer.write(response(200, b"{}"))

    caplog.set_level(logging.WARNING)
    async with _asking(drops_the_first) as (oracle, server):
        assert await oracle.ask() == b"{}"
    assert len(server.taken) == 2
    for record in caplog.records:
        assert "Mustermann" not in str(vars(record))


async def test_a_time_out_of_the_answer_is_not_repeated() -> None:
    async with _asking(is_silent, timeout_s=0.3) as (oracle, server):
        with pytest.raises(TransientError, match="did not answer in time") as caught:
            await oracle.ask()
    assert caught.value.sent
    assert len(server.taken) == 1


async def test_a_connection_that_never_stands_was_not_sent() -> None:
    with full_backlog() as port:
        oracle = Oracle(f"http://127.0.0.1:{port}", timeout_s=0.5)
        with pytest.raises(TransientError, match="takes no connection") as caught:
            await oracle.ask("POST")
        await oracle.close()
    assert not caught.value.sent


async def test_two_connects_that_hang_end_within_the_one_limit() -> None:
    loop = asyncio.get_running_loop()
    with full_backlog() as port:
        oracle = Oracle(f"http://127.0.0.1:{port}", timeout_s=0.6)
        began = loop.time()
        with pytest.raises(TransientError, match="in time"):
            await oracle.ask()
        await oracle.close()
    assert loop.time() - began < 1.5


async def test_a_slow_drip_ends_with_the_whole_attempt() -> None:
    """Each byte comes well within any limit of a single read."""
    ended = asyncio.Event()

    async def drips(_: Taken, writer: asyncio.StreamWriter) -> None:
        writer.write(response(200, b"", length=10_000))
        try:
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    loop = asyncio.get_running_loop()
    async with _asking(drips, timeout_s=0.4) as (oracle, _):
        began = loop.time()
        with pytest.raises(TransientError, match="in time"):
            await oracle.ask()
        assert loop.time() - began < 1.5
        await asyncio.wait_for(ended.wait(), 2)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(response(200, b" " * (SMALL + 1)), id="with its size"),
        pytest.param(response(200, b"", length=10**15), id="said to be huge"),
        pytest.param(b"HTTP/1.1 200 X\r\n\r\n" + b" " * (SMALL + 1), id="without its size"),
    ],
)
async def test_an_answer_above_the_bound_is_not_read(raw: bytes) -> None:
    async with _asking(sends(raw)) as (oracle, server):
        with pytest.raises(OversizeError, match=f"more than {SMALL} bytes"):
            await oracle.ask()
    assert len(server.taken) == 1


async def test_an_answer_of_the_bound_is_read() -> None:
    async with _asking(sends(response(200, b" " * SMALL))) as (oracle, _):
        assert len(await oracle.ask()) == SMALL


async def test_a_head_without_an_end_is_not_read() -> None:
    head = b"HTTP/1.1 200 X\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(100_000))
    async with _asking(sends(head)) as (oracle, _):
        with pytest.raises(TransientError, match="broke the connection off"):
            await oracle.ask()


async def test_a_packed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(b" " * 100_000_000, 1)
    raw = response(200, bomb[:SMALL], more="content-encoding: gzip\r\n")
    async with _asking(sends(raw)) as (oracle, server):
        with pytest.raises(TransientError, match="compresses"):
            await oracle.ask()
    assert server.taken[0].headers["accept-encoding"] == "identity"


async def test_a_redirect_to_another_host_is_not_followed() -> None:
    async with serving(says(200, {})) as other:
        more = f"location: {other.uri}/\r\n"
        async with _asking(says(307, more=more)) as (oracle, _):
            with pytest.raises(PermanentError, match="check ORACLE_URI"):
                await oracle.ask()
        assert other.taken == []


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with _asking(says(200, {})) as (oracle, _):
        assert await oracle.ask() == b"{}"


async def test_connections_are_kept_and_cookies_are_not() -> None:
    async with _asking(says(200, {}, more="set-cookie: a=b\r\n")) as (oracle, server):
        for _ in range(3):
            await oracle.ask()
    assert server.connections == 1
    assert all("cookie" not in taken.headers for taken in server.taken)


@pytest.mark.parametrize(
    ("status", "alive"), [(200, True), (302, True), (401, True), (404, True), (500, False)]
)
async def test_whatever_answers_below_500_is_alive(status: int, alive: bool) -> None:
    async with _asking(says(status)) as (oracle, server):
        assert await oracle.probe() is alive
    assert [one.target for one in server.taken] == ["/health"]


async def test_who_is_silent_or_away_is_not_alive() -> None:
    for answer in (is_silent, drops):
        async with _asking(answer, timeout_s=0.2) as (oracle, _):
            assert not await oracle.probe()
    oracle = Oracle(f"http://127.0.0.1:{free_port()}")
    assert not await oracle.probe()
    await oracle.close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the command openssl, to make a certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(  # noqa: S603 - a fixed command
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key)),
            *("-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=20,
    )
    return key, certificate


async def test_https_with_a_certificate_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with _asking(says(200, {}), tls=context) as (stranger, server):
        with pytest.raises(TransientError, match="cannot be reached") as caught:
            await stranger.ask("POST")
        assert not caught.value.sent, "the environment's certificate does not count"
        friend = Oracle(server.uri, ca_file=certificate)
        assert await friend.ask() == b"{}"
        await friend.close()


def test_a_file_of_certificates_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Oracle("https://manager", ca_file=tmp_path / "none.pem")
