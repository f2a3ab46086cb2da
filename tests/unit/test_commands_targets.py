"""Which scan or device is meant by what a person typed, and what is sent then."""

import json

import click
import pytest

from commands.base import CommandError, Exit
from commands.commanding import MOST_BY, check_by, login_name, make_command
from commands.queue import place_of
from commands.status import named, show_job
from commands.targets import Target, Typed, held_in, jobs_in, read_target, scan_in
from commands.work import Work
from models.events import ScanState
from models.scan import ScanCommandKind
from tests.unit.test_commands_queue import put

UUID = "0B9D3C1E-1111-4222-8333-00000000000A"
K = ScanCommandKind


@pytest.fixture
def work() -> Work:
    work = Work()
    put(work, "mri-1", "p1000-1", request_id="r-1", record_id=41, waiting=False)
    put(work, "mri-1", "q1000-2", request_id="r-2", record_id=UUID.lower())
    put(work, "mri-1", "q1000-3", request_id="r-3")
    put(work, "mri-2", "q1000-1", request_id="r-3")
    put(work, "mri-2", "q1000-2", request_id="41")
    put(work, "mri-2", "q1000-3", request_id="mri-1")
    put(work, "mri-3", "d", by="Ada")
    return work


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        (Typed(what="r-1"), Target(device_id="mri-1", record_id="41", request_id="r-1")),
        (Typed(what=UUID), Target(device_id="mri-1", record_id=UUID.lower(), request_id="r-2")),
        (Typed(record="41"), Target(device_id="mri-1", record_id="41", request_id="r-1")),
        (Typed(request="41"), Target(device_id="mri-2", request_id="41")),
        (Typed(what="r-3", device="mri-2"), Target(device_id="mri-2", request_id="r-3")),
        (Typed(what="gone", device="mri-2"), Target(device_id="mri-2", request_id="gone")),
        (Typed(what="77", device="mri-2"), Target(device_id="mri-2", record_id="77")),
        (Typed(request="77", device="mri-2"), Target(device_id="mri-2", request_id="77")),
        # A request that `submit` made looks like a record; with its device it is taken as that.
        (Typed(what=UUID, device="mri-2"), Target(device_id="mri-2", request_id=UUID)),
        (Typed(record=UUID, device="mri-2"), Target(device_id="mri-2", record_id=UUID.lower())),
        (Typed(what="gone"), None),
    ],
)
def test_a_scan_is_found_by_its_request_and_its_record(
    work: Work, typed: Typed, target: Target | None
) -> None:
    assert scan_in(work, typed) == target


@pytest.mark.parametrize(
    ("what", "say"), [("r-3", "on mri-1, mri-2: name one by --device"), ("41", "--request")]
)
def test_two_scans_at_once_are_refused(work: Work, what: str, say: str) -> None:
    with pytest.raises(CommandError, match=say) as caught:
        scan_in(work, Typed(what=what))
    assert caught.value.code is Exit.USAGE


def test_a_job_that_a_dying_worker_left_in_two_rows_is_one_job(work: Work) -> None:
    put(work, "mri-1", "h1000-2", request_id="r-2")
    assert len(jobs_in(work, Typed(what="r-2"))) == 1


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        (Typed(what="mri-3"), Target(device_id="mri-3")),
        (Typed(device="mri-9"), Target(device_id="mri-9")),
        (Typed(device="mri-1"), Target(device_id="mri-1")),
        (Typed(request="mri-1"), Target(device_id="mri-2", request_id="mri-1")),
        (Typed(what="mri-1", device="mri-2"), Target(device_id="mri-2", request_id="mri-1")),
        (Typed(what="r-2"), Target(device_id="mri-1", record_id=UUID.lower(), request_id="r-2")),
        (Typed(what="mri-9"), None),
    ],
)
def test_what_is_held_is_a_device_or_a_job(work: Work, typed: Typed, target: Target | None) -> None:
    assert held_in(work, typed) == target


def test_a_job_that_is_called_as_a_device_is_never_guessed(work: Work) -> None:
    with pytest.raises(CommandError, match="a job and a device have this name") as caught:
        held_in(work, Typed(what="mri-1"))
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    "names",
    [
        (None, None, None, None),
        ("a", "5", None, None),
        (None, "5", "b", None),
        (None, "x", None, None),
    ],
)
def test_one_thing_is_named(names: tuple[str | None, ...]) -> None:
    with pytest.raises(click.UsageError):
        read_target(*names)


def test_a_device_alone_is_named_where_that_is_allowed() -> None:
    with pytest.raises(click.UsageError):
        read_target(None, None, None, "mri-1")
    typed = read_target(None, None, None, "mri-1", devices_too=True)
    assert typed == Typed(device="mri-1")


def test_a_command_says_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(device_id="mri-1", request_id="r-1")
    monkeypatch.setenv("LOGNAME", "ada")
    assert make_command(target, K.CANCEL, None).by == "ada"
    assert make_command(target, K.CANCEL, "Eve").by == "Eve"

    def nobody() -> str:
        raise KeyError("a container's user has no name")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert login_name() is None
    assert make_command(target, K.CANCEL, None).by is None


def test_each_command_has_an_id_of_its_own() -> None:
    one, other = (make_command(Target(device_id="d"), K.HOLD, "a") for _ in range(2))
    assert one.command_id != other.command_id


@pytest.mark.parametrize("target", [Target(device_id=""), Target(device_id="d", request_id="a b")])
def test_a_name_that_nothing_can_have_is_bad_usage(target: Target) -> None:
    with pytest.raises(click.BadParameter):
        make_command(target, K.CANCEL, "a")


def test_who_asks_is_of_bounded_length() -> None:
    assert check_by(None, None, "x" * MOST_BY) == "x" * MOST_BY
    assert check_by(None, None, None) is None
    with pytest.raises(click.BadParameter, match="at most 128"):
        check_by(None, None, "x" * (MOST_BY + 1))


def test_a_place_is_told(work: Work) -> None:
    put(work, "mri-1", "h1000-4", request_id="r-4")
    places = {
        name: place_of(work, *found).where
        for name in ("r-1", "r-2", "r-4")
        for found in jobs_in(work, Typed(what=name))
    }
    assert places == {
        "r-1": "holds mri-1",
        "r-2": "place 1 of mri-1",
        "r-4": "held by a person, of mri-1",
    }


def test_a_number_is_a_record_unless_it_is_said_to_be_a_request(work: Work) -> None:
    found = [jobs_in(work, named("41", request=request)) for request in (False, True)]
    assert [[device for device, _ in one] for one in found] == [["mri-1"], ["mri-2"]]
    put(work, "mri-2", "q1000-4", request_id=UUID[:-1] + "B")  # `submit` makes such requests
    for uuid in (UUID, UUID[:-1] + "B"):
        assert len(jobs_in(work, named(uuid, request=False))) == 1


def test_a_waiting_job_is_told_by_its_queue(work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    put(work, "mri-1", "q1000-4", request_id="r-4", state=ScanState.QUEUED, reason="busy\x1b[2J")
    (found,) = jobs_in(work, named("r-4", request=False))
    show_job(place_of(work, *found), json=False)
    out = capsys.readouterr().out
    assert "place 3 of mri-1" in out
    assert "busy?[2J" in out
    show_job(place_of(work, *found), json=True)
    assert json.loads(capsys.readouterr().out)["request_id"] == "r-4"
