"""What the histories say: identities, orders, and the story of one scan."""

import os
import sys
from pathlib import Path

import pytest

from models import wire
from sandbox.chaos.collect import keep_messages, lines, records_made
from sandbox.chaos.disk import Disk
from sandbox.chaos.facts import Message, partition_of
from sandbox.chaos.story import story
from sandbox.chaos.traffic import SEQUENCE_ID
from tests.chaos.histories import PARTITIONS, Scene

BODY = f'{{"id": 1, "sequence_id": "{SEQUENCE_ID}", "device_id": "mri-1"}}'.encode()


def message(offset: int, *, home: bool, **headers: str) -> Message:
    there = partition_of(b"mri-1", PARTITIONS)
    return Message(
        topic=wire.SCAN_JOBS,
        partition=there if home else (there + 1) % PARTITIONS,
        offset=offset,
        ms=1000 + offset,
        key=b"mri-1",
        value=BODY,
        headers={name.replace("_", "-"): text.encode() for name, text in headers.items()},
    )


def test_a_job_that_was_moved_is_one_job_with_its_first_age_and_its_later_place() -> None:
    scene = Scene()
    first = message(5, home=False)
    request = wire.identity_of({}, first.here, first.ms)
    moved = {"rerouted_from": first.here, "rerouted_time": str(first.ms), "request_id": request}
    scene.messages = [first, message(9, home=True, **moved)]
    (job,) = scene.history().jobs.values()
    assert (job.request_id, job.born_ms, job.order) == (request, first.ms, 9)


def test_of_a_repeat_the_first_place_counts() -> None:
    scene = Scene()
    scene.messages = [message(n, home=True, request_id="r-1") for n in (7, 3)]
    (job,) = scene.history().jobs.values()
    assert job.order == 3


def test_a_malformed_message_is_no_job() -> None:
    scene = Scene()
    scene.messages = [message(1, home=True, request_id="r-1", chaos_mark="bad-00001-conflict")]
    assert scene.history().jobs == {}


def test_a_story_holds_what_names_the_scan_and_nothing_of_others() -> None:
    scene = Scene()
    scene.scan("r-1", 1)
    scene.scan("r-2", 21)
    text = "\n".join(story(scene.history(), "r-1", "1"))
    assert "r-1" in text
    assert "r-2" not in text
    assert '"record_id": 21' not in text


def test_a_story_of_nothing_says_so() -> None:
    assert story(Scene().history(), "r-1") == ["nobody saw anything of it"]


def test_a_line_that_a_kill_cut_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"a": 1}\n{"a": 2')
    assert lines(tmp_path / "log") == [{"a": 1}]
    assert lines(tmp_path / "missing") == []


def test_records_are_told_as_they_were_made(tmp_path: Path) -> None:
    rows = '{"table":"records","key":"1","row":{"id":1,"comment":"%s"}}\n'
    gone = '{"table":"records","key":"1","row":null}\n'
    (tmp_path / "exams").write_text(rows % "first" + rows % "later" + gone)
    assert records_made(tmp_path / "exams") == [{"id": 1, "comment": "first"}]


def test_messages_are_kept_in_the_order_of_time(tmp_path: Path) -> None:
    keep_messages(tmp_path / "m.jsonl", [message(5, home=True), message(2, home=True)])
    assert [line["ms"] for line in lines(tmp_path / "m.jsonl")] == [1002, 1005]


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a file system"
)
def test_a_full_disk_takes_nothing_until_it_is_freed(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "lake")
    disk.mount()
    if disk.why_not:
        pytest.skip(disk.why_not)
    try:
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.folder / "file").write_bytes(b"x" * 10_000)
        disk.free()
        (disk.folder / "file").write_bytes(b"x" * 10_000)
    finally:
        disk.unmount()
    assert not disk.folder.is_mount()
