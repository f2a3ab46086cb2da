"""Dead letters at the command line: what is shown, which ones are meant, what may be replayed."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import faust
import pytest
from faust.cli.base import cli
from hypothesis import given
from hypothesis import strategies as st

from commands.base import Context
from commands.dead_letters import _meant, add_dead_letters
from commands.dead_letters_known import Acts, Filter, Letter, act_on, read_moment
from commands.dead_letters_options import _places, logical_name
from commands.dead_letters_settling import refusal
from commands.dead_letters_showing import Listing, fact_rows, show_letter
from models import wire
from models.deadletters import ActKind, LetterAct
from settings import Settings
from streams.inbound import Headers, Inbound
from streams.topics import Topics
from tests.unit.test_streams_fakes import make_inbound

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAME = "Mustermann"


def raw(offset: int = 5, value: bytes | None = NAME.encode(), **own: Any) -> Inbound:
    """A dead letter as it is read: patient data wherever a sender can put them."""
    headers = {
        wire.DEAD_TOPIC: wire.SCAN_STATUS,
        wire.DEAD_CAUSE: "invalid",
        wire.DEAD_MESSAGE: "not a ScanStatus",
        wire.DEAD_STAGE: "forward_status",
        wire.DEAD_ATTEMPTS: "1",
        wire.DEAD_FAILED_AT: "2026-03-01T11:00:00.000Z",
        **{f"scanhub.{name.replace('_', '-')}": text for name, text in own.items()},
    }
    if "topic" in own:
        headers[wire.DEAD_TOPIC] = own["topic"]
    return make_inbound(
        value,
        topic=wire.DEAD_LETTERS,
        partition=2,
        offset=offset,
        key=NAME.encode(),
        timestamp_ms=1_700_000_000_000,
        headers=((NAME, NAME.encode()), *((name, text.encode()) for name, text in headers.items())),
    )


def act(letter: Letter, kind: ActKind = ActKind.REPLAYED, **fields: Any) -> LetterAct:
    return LetterAct(letter=letter.id, written_ms=letter.written_ms, act=kind, at=NOW, **fields)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-03-01T13:00:00+01:00", NOW),
        ("2026-03-01T12:00:00Z", NOW),
    ],
)
def test_a_time_is_how_long_ago_or_a_moment(text: str, moment: datetime) -> None:
    assert read_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2w", "2026-03-01T12:00:00", "٣h", "1e3s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_moment(text, NOW)


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (Filter(), True),
        (Filter(topic=wire.SCAN_STATUS, cause="invalid"), True),
        (Filter(topic=wire.SCAN_JOBS), False),
        (Filter(cause="internal"), False),
        (Filter(since=NOW - timedelta(hours=1), until=NOW), True),
        (Filter(since=NOW), False),
        (Filter(until=NOW - timedelta(hours=2)), False),
    ],
)
def test_filters_mean_topic_cause_and_time(wanted: Filter, passes: bool) -> None:
    assert wanted.passes(Letter.of(raw()), None) is passes


def test_those_settled_are_left_out_unless_they_are_meant() -> None:
    letter = Letter.of(raw())
    assert not Filter().passes(letter, act(letter))
    assert Filter(settled=True).passes(letter, act(letter))


def test_an_act_settles_the_letter_that_it_was_for_and_no_later_one_of_its_id() -> None:
    letter = Letter.of(raw())
    acts: Acts = {(letter.id, letter.written_ms): act(letter)}
    assert act_on(letter, acts) is not None
    assert act_on(Letter.of(raw(offset=6)), acts) is None
    again = make_inbound(topic=wire.DEAD_LETTERS, partition=2, offset=5, timestamp_ms=9)
    assert act_on(Letter.of(again), acts) is None


@pytest.mark.parametrize("by", [None, "Ada"])
def test_an_act_comes_back_as_it_went(by: str | None) -> None:
    one = act(Letter.of(raw()), by=by, attempts=2)
    assert LetterAct.from_bytes(one.to_bytes()) == one


def test_a_name_is_logical_or_real() -> None:
    topics = Topics(prefix="h.", renamed={wire.SCAN_STATUS: "status"})
    assert logical_name("scan-status", topics) == logical_name("h.status", topics) == "scan-status"
    with pytest.raises(click.UsageError):
        logical_name("h.scan-status", topics)


def test_ids_are_taken_once_and_in_the_order_that_they_were_written() -> None:
    assert _places(None, None, ("2-10", "2-9", "0-11", "2-9")) == [(0, 11), (2, 9), (2, 10)]
    assert _places(None, None, "1-0") == [(1, 0)]
    for wrong in ("", "3", "3-", "-1-2", "3-4-5", "01-2", "x-1", "٣-1"):
        with pytest.raises(click.BadParameter):
            _places(None, None, (wrong,))


def test_it_has_to_be_said_which_ones_are_meant() -> None:
    for ids, wanted in (([], Filter(settled=True)), ([(0, 1)], Filter(cause="invalid"))):
        with pytest.raises(click.UsageError):
            _meant(ids, wanted)
    assert _meant([(0, 1)], Filter(settled=True)).settled
    assert _meant([], Filter(cause="invalid")).narrows


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_list_shows_nothing_of_the_sender_and_steers_no_terminal(
    terminal: bool,
    as_json: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("commands.dead_letters_showing.at_terminal", lambda: terminal)
    listing = Listing(json=as_json, most=5)
    one = raw(stage="\x1b[2J")
    listing.take(Letter.of(one), act(Letter.of(one), by="Ada"))
    listing.show()
    out = capsys.readouterr().out
    assert "2-5" in out
    assert NAME not in out
    assert "\x1b[2J" not in out


def test_a_list_shows_the_newest_and_counts_all(capsys: pytest.CaptureFixture[str]) -> None:
    listing = Listing(json=False, most=2)
    for offset in (1, 3, 2):
        listing.take(Letter.of(raw(offset, failed_at=f"2026-03-01T1{offset}:00:00.000Z")), None)
    listing.take(Letter.of(raw(9, cause="internal", failed_at="2026-03-01T01:00:00.000Z")), None)
    listing.show()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["2-2", "2-3"]
    assert lines[2:] == [
        "3 of scan-status (invalid)",
        "1 of scan-status (internal)",
        "the newest 2 are shown, --most shows more",
        "4 dead letters",
    ]
    Listing(json=False, most=2).show()
    assert capsys.readouterr().out == "no dead letters\n"


def test_as_json_each_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    listing = Listing(json=True, most=1)
    for offset in (1, 2):
        listing.take(Letter.of(raw(offset, attempts="3")), None)
    listing.show()
    one, two = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (one["id"], two["id"], one["attempts"], one["settled"]) == ("2-1", "2-2", 3, None)


def test_a_letter_is_told_without_its_value_unless_that_is_asked_for(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    show_letter(raw(), None, value=False)
    out = capsysbinary.readouterr().out
    assert NAME.encode() not in out
    assert [b"state", b"open"] in [line.split() for line in out.splitlines()]
    assert b"10 bytes" in out  # of the key
    show_letter(raw(value=b"\xff\x00" + NAME.encode()), None, value=True)
    told = capsysbinary.readouterr()
    assert told.out == b"\xff\x00" + NAME.encode()
    assert b"patient data" in told.err


def test_sizes_of_stubs_and_of_nothing_are_told() -> None:
    stub = dict(fact_rows(raw(stub_size="900000", stub_sha256="ab"), None))
    assert (stub["bytes"], stub["sha256"]) == ("900000, only the first 10 are kept", "ab")
    assert dict(fact_rows(raw(value=None), None))["bytes"] == "no value"
    empty = dict(fact_rows(raw(value=b"", null_value="true"), None))
    assert (empty["bytes"], "sha256" in empty) == ("no value", False)


@given(
    st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=30)), max_size=5),
    st.integers(-(2**63), 2**63 - 1),
)
def test_whatever_stands_on_the_topic_can_be_listed(
    headers: list[tuple[str, bytes]], written_ms: int
) -> None:
    names = [wire.DEAD_FAILED_AT, wire.DEAD_ATTEMPTS, wire.DEAD_FIRST_FAILED_AT, wire.REQUEST_ID]
    odd: Headers = tuple(
        (name, value) for name, (_, value) in zip(names, headers, strict=False)
    ) + tuple(headers)
    letter = Letter.of(
        make_inbound(None, topic=wire.DEAD_LETTERS, timestamp_ms=written_ms, headers=odd)
    )
    assert letter.row(None)[0] == letter.id
    assert refusal(letter, NOW, timedelta(days=14)) is not None


def test_the_commands_are_there_with_a_sentence_each() -> None:
    app = faust.App("dead-letters-test", broker="kafka://127.0.0.1:1")
    add_dead_letters(app, Context(settings=Settings(), topics=Topics()))
    group = cli.commands["dead-letters"]
    assert isinstance(group, click.Group)
    assert set(group.commands) == {"list", "show", "replay", "discard"}
    for one in (group, *group.commands.values()):
        short = one.get_short_help_str(80)
        assert short.endswith("."), short
        assert not short.endswith("..."), short
