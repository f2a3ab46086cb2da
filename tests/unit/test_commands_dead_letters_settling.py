"""Settling dead letters: what may be replayed, what is sent, and what is said of each."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import click
import pytest

from commands.base import CommandError, Exit
from commands.dead_letters import _ask
from commands.dead_letters_known import Acts, Letter
from commands.dead_letters_settling import Settling, may_start, refusal
from commands.kafka import TooLargeError
from models import wire
from models.deadletters import ActKind, LetterAct
from streams.inbound import Headers, Inbound
from tests.unit.test_commands_dead_letters import NOW, act, raw


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({}, None),
        ({"topic": wire.SCAN_JOBS}, None),
        ({"stub_size": "900000"}, "only its beginning"),
        ({"topic": wire.DEVICE_TASKS}, "device task"),
        ({"topic": wire.DEVICE_STEPS}, "own steps"),
        ({"topic": wire.RECORD_STEPS}, "own steps"),
        ({"topic": wire.SCAN_EVENTS}, "no topic that the processor reads"),
        ({"topic": "elsewhere"}, "no topic that the processor reads"),
        ({"topic": ""}, "no topic that the processor reads"),
        ({"failed_at": "2026-02-15T12:00:01.000Z"}, None),
        ({"failed_at": "2026-02-15T11:59:59.000Z"}, "14 days"),
        ({"first_failed_at": "2026-02-15T11:59:59.000Z"}, "14 days"),
    ],
)
def test_what_can_not_be_replayed_is_told_with_its_reason(
    own: dict[str, Any], words: str | None
) -> None:
    reason = refusal(Letter.of(raw(**own)), NOW, timedelta(days=14))
    assert (reason is None) is (words is None)
    assert words is None or (reason is not None and words in reason)


def test_only_scan_jobs_may_start_a_scan() -> None:
    assert may_start([Letter.of(raw()), Letter.of(raw(topic=wire.SCAN_JOBS))])
    assert not may_start([Letter.of(raw())])


@dataclass
class FakeKafka:
    """Takes messages, gives letters; `full` is a topic that refuses by size."""

    letters: Sequence[Inbound]
    full: str = ""
    sent: list[tuple[str, bytes | None, bytes | None, Headers]] = field(default_factory=list)

    async def partitions(self, topic: str) -> int:
        assert topic in (wire.SCAN_STATUS, wire.SCAN_JOBS)
        return 8

    async def post(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, *, unsure: str
    ) -> None:
        assert unsure
        if topic == self.full:
            raise TooLargeError("the message has 5 bytes")
        self.sent.append((topic, key, value, headers))

    async def at(self, partition: int, offset: int) -> Inbound | None:
        found = [one for one in self.letters if (one.partition, one.offset) == (partition, offset)]
        return found[0] if found else None


def settling(kafka: FakeKafka, acts: Acts | None = None, *, again: bool = False) -> Settling:
    return Settling(
        kafka=kafka, picker=kafka, acts=acts or {}, by="Ada", again=again,
        remember=timedelta(days=365_000),
    )  # fmt: skip


async def test_a_replay_sends_the_message_then_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    one = raw(attempts="4")
    kafka = FakeKafka([one])
    assert await settling(kafka).replay([Letter.of(one)]) is Exit.GOOD
    message, told = kafka.sent
    assert message[:3] == (wire.SCAN_STATUS, one.key, one.value)
    assert dict(message[3])["scanhub.attempts"] == b"5"
    assert (told[0], told[1]) == (wire.DEAD_LETTER_ACTS, b"2-5")
    written = LetterAct.from_bytes(told[2] or b"")
    assert (written.letter, written.act, written.by) == ("2-5", ActKind.REPLAYED, "Ada")
    assert (written.written_ms, written.attempts) == (one.timestamp_ms, 5)
    assert capsys.readouterr().out == "2-5: replayed to scan-status, attempt 5\n"


async def test_of_several_those_that_can_be_are_replayed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good, stub, gone = raw(1), raw(2, stub_size="9"), raw(3)
    kafka = FakeKafka([good, stub])
    letters = [Letter.of(one) for one in (stub, gone, good)]
    assert await settling(kafka).replay(letters) is Exit.ERROR
    assert [topic for topic, *_ in kafka.sent] == [wire.SCAN_STATUS, wire.DEAD_LETTER_ACTS]
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == ["2-2", "2-3", "2-1"]


async def test_one_that_its_topic_does_not_take_stays_open() -> None:
    one = raw()
    kafka = FakeKafka([one], full=wire.SCAN_STATUS)
    assert await settling(kafka).replay([Letter.of(one)]) is Exit.ERROR
    assert kafka.sent == []


async def test_another_letter_under_the_same_id_is_not_sent() -> None:
    kafka = FakeKafka([replace(raw(), timestamp_ms=9)])
    assert await settling(kafka).replay([Letter.of(raw())]) is Exit.ERROR
    assert kafka.sent == []


async def test_what_is_settled_is_settled_again_only_if_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = raw()
    letter = Letter.of(one)
    acts: Acts = {(letter.id, letter.written_ms): act(letter, by="\x1bBob")}
    kafka = FakeKafka([one])
    assert await settling(kafka, acts).replay([letter]) is Exit.ERROR
    assert await settling(kafka, acts).discard([letter]) is Exit.ERROR
    assert kafka.sent == []
    assert "replayed 2026-03-01T12:00:00.000Z by ?Bob. --all" in capsys.readouterr().out
    assert await settling(kafka, acts, again=True).replay([letter]) is Exit.GOOD
    assert len(kafka.sent) == 2


async def test_discarding_says_so_and_sends_nothing() -> None:
    kafka = FakeKafka([])
    assert await settling(kafka).discard([Letter.of(raw(stub_size="1"))]) is Exit.GOOD
    [(topic, _, value, _)] = kafka.sent
    assert topic == wire.DEAD_LETTER_ACTS
    assert LetterAct.from_bytes(value or b"").act is ActKind.DISCARDED


@pytest.mark.parametrize(("answer", "done"), [("y\n", True), ("n\n", False), ("", False)])
def test_many_are_asked_for_at_a_terminal_and_refused_without_one(
    answer: str, done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = [Letter.of(raw())]
    _ask("replay", letters, asked=True)
    _ask("replay", [], asked=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    with pytest.raises(click.UsageError, match="--yes"):
        _ask("replay", letters, asked=False)
    monkeypatch.setattr(
        "sys.stdin", SimpleNamespace(isatty=lambda: True, readline=io.StringIO(answer).readline)
    )
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer.strip() or _abort())
    if done:
        _ask("replay", letters, asked=False)
    else:
        with pytest.raises(CommandError):
            _ask("replay", letters, asked=False)


def _abort() -> str:
    raise EOFError
