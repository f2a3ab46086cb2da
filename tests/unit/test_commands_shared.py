import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click
import faust
import pytest
from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    KafkaConnectionError,
)
from faust.cli.base import cli

from commands import add_commands
from commands.base import CommandError, Context, Exit, execute, judge
from commands.following import Followed
from commands.kafka import no_broker
from commands.progress import display, line
from commands.show import human_size, plain_pairs, printable, show_table
from commands.status import fact_rows, file_row
from commands.topics import line as topic_line
from commands.topics import verdict
from models.errors import FatalError
from models.events import ScanState
from models.results import AnswerMetadata, AnswerStatus, FileFacts, ScanFacts
from models.scan import ScanJob
from settings import Settings
from streams.provision import Finding
from streams.topics import Topics


async def _raise(error: BaseException) -> Exit:
    raise error


async def _give(code: Exit) -> Exit:
    return code


async def _terminate() -> Exit:
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(5)
    return Exit.GOOD


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (partial(_give, Exit.GOOD), 0),
        (partial(_give, Exit.UNDECIDED), 4),
        (partial(_raise, CommandError("it is late", Exit.TIMEOUT)), 5),
        (partial(_raise, FatalError("it can't go on")), 1),
        (partial(_raise, BrokerResponseError("SECRET")), 1),
        (partial(_raise, click.UsageError("wrong use")), 2),
        (partial(_raise, ValueError("SECRET")), 1),
        (partial(_raise, BrokenPipeError()), 1),
        (_terminate, 143),
    ],
)
def test_each_end_has_its_code_and_shows_no_input(
    command: Callable[[], Coroutine[Any, Any, Exit]],
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("commands.base.quiet", lambda: None)  # the run's loggers are left alone
    assert execute(command()) == code
    assert "SECRET" not in "".join(capsys.readouterr())


def test_an_unforeseen_end_says_where() -> None:
    with pytest.raises(KeyError) as caught:
        dict[str, int]()["SECRET"]
    sentence, code = judge(caught.value)
    assert code is Exit.ERROR
    assert sentence.startswith("internal error KeyError at test_commands_shared.py:")
    assert judge(KeyboardInterrupt()) == ("interrupted", Exit.INTERRUPTED)


@pytest.mark.parametrize(
    ("finding", "told", "code"),
    [
        (Finding("a"), "a: fine", 0),
        (Finding("a", made=True, missing=True), "a: made", 0),
        (Finding("a", missing=True), "a: missing; `faust -A faust_app topics` makes it", 1),
        (Finding("a", wrong="it has 3 partitions"), "a: it has 3 partitions", 1),
    ],
)
def test_topics_are_told(finding: Finding, told: str, code: int) -> None:
    assert topic_line(finding) == told
    assert verdict([Finding("b"), finding]) == code


def test_a_scan_is_told_without_what_is_not_known() -> None:
    scan = ScanFacts(
        state=ScanState.RUNNING,
        percent=0,
        device_id="scanner-1",
        job_id=0,
        times={
            "running": datetime(2026, 1, 2, tzinfo=UTC),
            "accepted": datetime(2026, 1, 1, tzinfo=UTC),
        },
    )
    answer = AnswerMetadata(
        request_id="q", record_id=5, status=AnswerStatus.OK, scan=scan, chunk_size=1
    )
    assert fact_rows("5", answer, scan) == [
        ("record", "5"),
        ("state", "RUNNING"),
        ("percent", "0 %"),
        ("device", "scanner-1"),
        ("job", "0"),
        ("accepted", "2026-01-01T00:00:00.000Z"),
        ("running", "2026-01-02T00:00:00.000Z"),
    ]


def test_a_file_is_told() -> None:
    file = FileFacts(name="a.h5", size=1536, sha256="0" * 64, media_type="a/b")
    assert file_row(file) == ("a.h5", "1.5 KiB", "0" * 64, "-")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (2**30, "1.0 GiB"), (2**50, "1024.0 TiB")],
)
def test_sizes_are_told(size: int, text: str) -> None:
    assert human_size(size) == text


def test_a_terminal_is_not_steered(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("a\x1b]0;x\x07\n\u202eß") == "a?]0;x???ß"
    assert plain_pairs([("a", "1"), ("long", "\x1b")]) == ["a     1", "long  ?"]
    show_table([("[bold]device[/bold]", "\x1b[2J")], ("a", "b"))
    assert "[bold]device[/bold]" in capsys.readouterr().out


@pytest.mark.parametrize("terminal", [True, False])
def test_events_are_shown_with_and_without_a_terminal(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.progress.at_terminal", lambda: terminal)
    job = Followed(request_id="r1", job=ScanJob(job_id=1, sequence_id="a" * 24, device_id="[red]d"))
    with display([job]) as shown:
        shown.say(job, "RUNNING [40] %")
        shown.say(job, None)
        job.state, job.percent, job.code = ScanState.COMPLETED, 40, Exit.GOOD
        shown.update()
    out = capsys.readouterr().out
    assert "RUNNING [40] %" in out
    assert ("COMPLETED" in out) is terminal


def test_a_line_says_which_job_if_there_are_several() -> None:
    job = Followed(request_id="r1", job=ScanJob(job_id=1, sequence_id="a" * 24, device_id="d"))
    assert line(job, "READY", several=True).endswith("  r1  READY")
    assert "r1" not in line(job, "READY", several=False)


def test_a_broker_that_refuses_is_not_one_that_is_away() -> None:
    for error in (KafkaConnectionError(), TimeoutError(), ConnectionRefusedError()):
        assert "no broker answers at b:1" in str(no_broker("b:1", error))
    refused = str(no_broker("b:1", ClusterAuthorizationFailedError()))
    assert refused == "the broker at b:1 refuses: ClusterAuthorizationFailedError"


def test_the_commands_are_there_with_a_sentence_each() -> None:
    app = faust.App("commands-test", broker="kafka://127.0.0.1:1")
    add_commands(app, Settings(), Topics(), tables=("scans",))
    ours = ("topics", "submit", "status", "result", "doctor", "confirm", "queue", "watch")
    for name in (*ours, "cancel", "stop", "pause", "resume", "hold", "release", "dead-letters"):
        short = cli.commands[name].get_short_help_str()
        assert short.endswith("."), name
        assert not short.endswith("..."), name


def test_the_tables_changelogs_are_topics_too() -> None:
    context = Context(settings=Settings(app_id="a"), topics=Topics(), tables=("scans",))
    assert "a-scans-changelog" in [spec.name for spec in context.specs()]
