"""The checker: silent about a clean history, and one broken promise at a time is seen."""

import json
from dataclasses import replace

import pytest

from models import wire
from sandbox.chaos.checker import check, tell
from sandbox.chaos.history import History
from tests.chaos.histories import T0, Scene


@pytest.fixture
def scene() -> Scene:
    """Three scans that went well, and one malformed message."""
    scene = Scene()
    scene.scan("r-1", 1, "mri-1", 0)
    scene.scan("r-2", 2, "mri-1", 10)
    scene.scan("r-3", 3, "mri-2", 20)
    scene.bad()
    return scene


def found(history: History) -> list[str]:
    return [f"{violation.rule}: {violation.sentence}" for violation in check(history)]


def only(history: History, rule: str, words: str) -> None:
    """All that was found is of one rule, and one sentence has these words."""
    sentences = found(history)
    assert any(s.startswith(f"{rule}: ") and words in s for s in sentences), sentences
    assert {s.partition(":")[0] for s in sentences} == {rule}, sentences


def test_nothing_is_found_in_a_clean_history(scene: Scene) -> None:
    assert found(scene.history()) == []


def test_a_repeated_event_is_one_event(scene: Scene) -> None:
    again = [m for m in scene.messages if m.topic == wire.SCAN_EVENTS]
    scene.messages += [replace(m, offset=m.offset + 1000) for m in again]
    assert found(scene.history()) == []


def test_an_acknowledged_message_that_kafka_has_not(scene: Scene) -> None:
    scene.client[0]["offset"] = 77
    only(scene.history(), "kept", "it is not there")


def test_a_job_that_was_never_announced_is_lost(scene: Scene) -> None:
    scene.job("r-4", at=30, n=4)
    only(scene.history(), "ended", "never announced: lost")


def test_a_job_that_stays_half_way(scene: Scene) -> None:
    scene.job("r-4", at=30, n=4)
    scene.moves("r-4", ("ACCEPTED", "WAITING"), 4, "mri-1", 30)
    scene.row("q1", "r-4")
    only(scene.history(), "ended", "came as far as WAITING")


def test_a_final_state_that_goes_back(scene: Scene) -> None:
    scene.moves("r-1", ("COMPLETED", "FAILED"), 1, "mri-1", 5)
    assert any("a job has one end" in sentence for sentence in found(scene.history()))


def test_a_hop_that_the_table_does_not_have(scene: Scene) -> None:
    fields = {"state": "STARTED", "previous": "READY", "device_id": "mri-1", "record_id": 1}
    scene.event("r-1", "STATE_CHANGED", 0.15, **fields)
    scene.runner.append({"wall": T0 + 0.1, "what": "kill", "worker": "w1"})
    only(scene.history(), "hopped", "from READY to STARTED")


def test_two_changes_with_one_id_make_no_way(scene: Scene) -> None:
    scene.job("r-4", at=30, n=4)
    scene.made("r-4", 4, "mri-1", 30)
    scene.moves("r-4", ("ACCEPTED", "HELD", "READY", "HELD", "READY", "CANCELLED"), 4, "mri-1", 30)
    assert "walked" not in {one.partition(":")[0] for one in found(scene.history())}
    twice = [m for m in scene.messages if b'"previous": "HELD"' in (m.value or b"")]
    fields = [json.loads(message.value or b"") for message in twice]
    first, again = fields[0], fields[1] | {"event_id": fields[0]["event_id"]}
    assert first["state"] == again["state"] == "READY"
    at = scene.messages.index(twice[1])
    scene.messages[at] = replace(twice[1], value=json.dumps(again).encode())
    assert any("make no way" in sentence for sentence in found(scene.history()))


def test_events_that_name_two_records(scene: Scene) -> None:
    scene.made("r-1", 9, "mri-1")
    scene.strikes("worker-kill", "w1", 0, 1)
    scene.event(
        "r-1",
        "STATE_CHANGED",
        0.15,
        state="READY",
        previous="ACCEPTED",
        device_id="mri-1",
        record_id=9,
    )
    assert any("events name 2 records" in sentence for sentence in found(scene.history()))


def test_a_record_that_was_never_made_for_the_request(scene: Scene) -> None:
    scene.records[0]["comment"] = "by hand"
    only(scene.history(), "records", "never made for this request")


def test_two_records_that_no_two_owners_could_have_made(scene: Scene) -> None:
    scene.made("r-1", 9, "mri-1", 0.1)
    only(scene.history(), "records", "no two owners")


def test_a_spare_record_that_is_not_announced(scene: Scene) -> None:
    scene.made("r-1", 9, "mri-1", 0.1)
    scene.strikes("worker-freeze", "w1", 0, 12)
    only(scene.history(), "records", "spare record 9 was not announced")


def test_a_spare_record_with_reason_and_announcement(scene: Scene) -> None:
    scene.made("r-1", 9, "mri-1", 0.1)
    scene.strikes("worker-freeze", "w1", 0, 12)
    scene.event("r-1", "CONFLICT", 5, cause="spare records of this request were closed: 9")
    assert found(scene.history()) == []


def test_a_scan_that_is_started_twice(scene: Scene) -> None:
    scene.start(1, "mri-1", 0.9)
    assert any("record 1 was started 2 times" in one for one in found(scene.history()))


def test_a_start_at_another_device(scene: Scene) -> None:
    scene.starts[0]["device_id"] = "mri-2"
    only(scene.history(), "started", "at another device")


def test_a_start_for_a_record_that_nobody_knows(scene: Scene) -> None:
    scene.start(99, "mri-1", 0.9)
    only(scene.history(), "started", "no event names it")


def test_completed_without_a_start(scene: Scene) -> None:
    del scene.starts[0]
    only(scene.history(), "started", "no device was ever started")


def test_failed_before_its_start_and_started_all_the_same(scene: Scene) -> None:
    scene.job("r-4", at=30, n=4)
    scene.made("r-4", 4, "mri-1", 30)
    scene.moves("r-4", ("ACCEPTED", "READY", "FAILED"), 4, "mri-1", 30, cause="no such sequence")
    scene.start(4, "mri-1", 30.1)
    only(scene.history(), "started", "FAILED before its start")


def test_a_file_that_is_registered_twice(scene: Scene) -> None:
    scene.file("r-1", 1, "0001" + "a" * 60, "raw.npy", 0.6)
    only(scene.history(), "results", "registered 2 times")


def test_a_file_that_is_never_registered(scene: Scene) -> None:
    scene.add(wire.RESULT_UPLOADS, {"record_id": 1, "sha256": "c" * 64}, "1", 1)
    only(scene.history(), "results", "registered 0 times")


@pytest.mark.parametrize(("content", "words"), [(None, "is not there"), ("c" * 64, "has another")])
def test_a_registered_file_that_is_not_as_announced(
    scene: Scene, content: str | None, words: str
) -> None:
    location = next(iter(scene.files))
    del scene.files[location]
    if content is not None:
        scene.files[location] = content
    only(scene.history(), "results", words)


def test_a_second_reco_job_for_one_file(scene: Scene) -> None:
    job = {"record_id": 1, "sha256": "0001" + "a" * 60, "reco_job_id": "another"}
    scene.add(wire.RECO_JOBS, job, "1", 1, {wire.MESSAGE_ID: "m9"})
    only(scene.history(), "results", "has 2 RecoJobs")


def test_completed_without_an_image(scene: Scene) -> None:
    scene.messages = [m for m in scene.messages if b"0001bbbb" not in (m.value or b"")]
    assert any("no image is registered" in sentence for sentence in found(scene.history()))


def test_a_malformed_message_that_is_no_dead_letter(scene: Scene) -> None:
    scene.bad("bad-00002-null", buried=False)
    only(scene.history(), "letters", "bad-00002-null is malformed")


def test_a_good_message_that_is_a_dead_letter(scene: Scene) -> None:
    scene.add(wire.DEAD_LETTERS, b"{}", "mri-1", 1, {wire.DEAD_TOPIC: "scan-status"})
    only(scene.history(), "letters", "a message of scan-status became a dead letter")


def test_a_dead_letter_that_is_not_always_the_same(scene: Scene) -> None:
    headers = {"chaos-mark": "bad-00001-not-json", wire.DEAD_CAUSE: "internal"}
    scene.add(wire.DEAD_LETTERS, b"{", "mri-1", 1, headers)
    only(scene.history(), "letters", "not always the same")


def test_a_table_that_differs_from_the_events(scene: Scene) -> None:
    scene.answers["1"]["scan"]["state"] = "RUNNING"
    only(scene.history(), "tables", "the table says RUNNING, the events say COMPLETED")


def test_a_table_that_lost_a_file(scene: Scene) -> None:
    scene.answers["1"]["scan"]["files"].pop()
    only(scene.history(), "tables", "the table has 1 files")


def test_a_question_without_an_answer(scene: Scene) -> None:
    history = replace(scene.history(), answers={})
    only(history, "tables", "nobody answered")


def test_a_run_in_which_too_little_went_through(scene: Scene) -> None:
    for n in range(4, 9):
        scene.job(f"r-{n}", "mri-3", 30 + n, n)
        way = ("ACCEPTED", "FAILED")
        scene.moves(f"r-{n}", way, n, "mri-3", 30 + n, cause="refused")
        scene.made(f"r-{n}", n, "mri-3", 30 + n)
    only(scene.history(), "progress", "only 3 of 8")


def test_a_violation_is_told_with_the_seed_and_everything_that_names_the_scan(scene: Scene) -> None:
    scene.start(1, "mri-1", 0.9)
    scene.runner.append({"wall": T0 + 0.5, "what": "kill", "worker": "w1"})
    text = tell(scene.history(), check(scene.history())[0])
    assert text.startswith("VIOLATION (seed 42) started: record 1 was started 2 times")
    assert text.count("device   ") == 2
    for party in ("client   ", "runner   what=kill", "scan-jobs-", "scan-events-", "reco-jobs-"):
        assert party in text
    assert json.dumps({"record_id": 2})[1:-1] not in text
