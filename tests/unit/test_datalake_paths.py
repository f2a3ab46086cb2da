"""Where a sender's location may lead."""

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalake import FileMissing, open_contained
from datalake.errors import sort_os_error
from datalake.paths import check_record, open_folder
from models.errors import PoisonError, TransientError
from models.wire import Cause

SECRET = b"outside"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(SECRET)
    root = tmp_path / "lake"
    (root / "inbox").mkdir(parents=True)
    (root / "inbox" / "a.npy").write_bytes(b"inside")
    return root


def content(root: Path, location: str) -> bytes:
    fd = open_contained(root, location)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def test_a_plain_location_is_opened(root: Path) -> None:
    assert content(root, "inbox/a.npy") == b"inside"


def test_the_root_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert content(tmp_path / "link", "inbox/a.npy") == b"inside"


@pytest.mark.parametrize(
    "location",
    [
        "",
        ".",
        "..",
        "/etc/passwd",
        "../secret",
        "inbox/../../secret",
        "inbox/../inbox/a.npy",
        "inbox//a.npy",
        "inbox/./a.npy",
        "inbox/a.npy/",
        "inbox/a.npy\0",
        "inbox/\ud800",
        "x" * 300,
        "a/" * 512 + "a",
        "inbox/a.npy/b",
    ],
)
def test_what_is_not_plain_is_refused(root: Path, location: str) -> None:
    with pytest.raises(PoisonError) as caught:
        open_contained(root, location)
    assert caught.value.cause is Cause.PATH_REFUSED


def link_to_file(root: Path) -> str:
    (root / "inbox" / "DOE^JANE").symlink_to(root.parent / "secret")
    return "inbox/DOE^JANE"


def link_to_file_inside(root: Path) -> str:
    (root / "inbox" / "DOE^JANE").symlink_to("a.npy")
    return "inbox/DOE^JANE"


def link_to_folder(root: Path) -> str:
    (root / "DOE^JANE").symlink_to("inbox")
    return "DOE^JANE/a.npy"


def dangling_link(root: Path) -> str:
    (root / "DOE^JANE").symlink_to("nowhere")
    return "DOE^JANE"


def fifo(root: Path) -> str:
    os.mkfifo(root / "DOE^JANE")
    return "DOE^JANE"


def folder(root: Path) -> str:
    (root / "DOE^JANE").mkdir()
    return "DOE^JANE"


def unix_socket(root: Path) -> str:
    here = os.open(root, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"/proc/self/fd/{here}/DOE^JANE")  # the path itself may be too long
    finally:
        os.close(here)
    return "DOE^JANE"


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (link_to_file, Cause.PATH_REFUSED),
        (link_to_file_inside, Cause.PATH_REFUSED),
        (link_to_folder, Cause.PATH_REFUSED),
        (dangling_link, Cause.PATH_REFUSED),
        (fifo, Cause.FILE_REFUSED),
        (folder, Cause.FILE_REFUSED),
        (unix_socket, Cause.FILE_REFUSED),
    ],
)
@pytest.mark.timeout(10)
def test_links_and_odd_files_are_refused_without_their_name(
    root: Path, make: Callable[[Path], str], cause: Cause
) -> None:
    with pytest.raises(PoisonError) as caught:
        open_contained(root, make(root))
    assert caught.value.cause is cause
    assert "DOE" not in str(caught.value)


@pytest.mark.parametrize("make", [link_to_file, fifo])
def test_a_file_exchanged_between_look_and_opening_is_refused(
    root: Path, make: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    location = make(root)
    harmless = (root / "inbox" / "a.npy").stat()
    monkeypatch.setattr(os, "stat", lambda *_args, **_kwargs: harmless)
    with pytest.raises(PoisonError):
        open_contained(root, location)


@pytest.mark.parametrize("location", ["inbox/b.npy", "nowhere/a.npy"])
def test_a_missing_file_may_come_later(root: Path, location: str) -> None:
    with pytest.raises(FileMissing):
        open_contained(root, location)


def test_a_lost_mount_is_no_fault_of_the_sender(root: Path) -> None:
    with pytest.raises(TransientError) as caught:
        open_contained(root / "lost", "inbox/a.npy")
    assert not isinstance(caught.value, FileMissing)


@pytest.mark.parametrize("code", ["EACCES", "EIO", "ESTALE", "ENOSPC", "EDQUOT", "EMFILE", "EROFS"])
def test_what_a_person_can_repair_is_transient(code: str) -> None:
    error = sort_os_error(OSError(getattr(errno, code), "text", "DOE^JANE"))
    assert isinstance(error, TransientError)
    assert code in str(error)
    assert "DOE" not in str(error)


def test_no_descriptor_is_left_open(root: Path) -> None:
    link_to_file(root)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for location in ["inbox/a.npy/b", "inbox/DOE^JANE", "inbox/none", "none/none", "inbox"]:
        with pytest.raises((PoisonError, FileMissing)):
            open_contained(root, location)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("record", ["0", "12", "6fa459ea-ee8a-3ca4-894e-db77e160355e"])
def test_canonical_record_ids_are_taken(record: str) -> None:
    assert check_record(record) == record


@pytest.mark.parametrize(
    "record",
    ["", "..", "01", "-1", "a", "6FA459EA-EE8A-3CA4-894E-DB77E160355E", "1/2", "1\n", "f" * 32],
)
def test_other_record_ids_are_refused(record: str) -> None:
    with pytest.raises(PoisonError):
        check_record(record)


def test_a_folder_that_is_a_link_is_not_made_or_entered(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (root / "records").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PoisonError), open_folder(root, ["records", "1"], make=True):
        pass
    assert not list((tmp_path / "elsewhere").iterdir())


PARTS = st.sampled_from(["..", ".", "", "inbox", "a.npy", "secret", "up", "/", "~", "\0", "lake"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(parts=st.lists(PARTS | st.text(max_size=4), max_size=6))
def test_no_location_gives_what_lies_outside(root: Path, parts: list[str]) -> None:
    if not (root / "up").is_symlink():
        (root / "up").symlink_to("..")
    with contextlib.suppress(PoisonError, FileMissing):
        assert content(root, "/".join(parts)) == b"inside"
