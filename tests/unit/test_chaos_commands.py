"""The checker's rules for holds, commands and deadlines: each seen to fail on its own."""

import pytest

from models import wire
from sandbox.chaos.acts import REASON
from tests.chaos.histories import T0, WAY, Scene, found, only

OLD = "older than START_MAX_AGE"
WITH_DEVICE = "its device is on hold"


@pytest.fixture
def scene() -> Scene:
    """A scan, and another one of the same device that waits for it."""
    scene = Scene()
    scene.scan("r-1", 1, "mri-1", 0)
    scene.scan("r-2", 2, "mri-1", 10)
    return scene


def held(scene: Scene, at: float, cause: str, since: float = 30, last: str = "CANCELLED") -> None:
    """A job of 30 s after the start that is HELD, and cancelled much later."""
    scene.job("r-4", at=since, n=4)
    scene.moves("r-4", ("ACCEPTED", "WAITING"), 4, "mri-1", since)
    fields = {"device_id": "mri-1", "previous": "WAITING", "cause": cause}
    scene.event("r-4", "STATE_CHANGED", at, state="HELD", **fields)
    if last == "HELD":
        scene.row("q1", "r-4")
        return
    scene.command("cmd-9", "CANCEL", 500, scan_request_id="r-4")
    end = {"device_id": "mri-1", "previous": "HELD"}
    scene.event("r-4", "STATE_CHANGED", 501, state=last, **end)


def test_held_before_its_time(scene: Scene) -> None:
    held(scene, 40, OLD)
    only(scene, "held", "HELD at the age of 10.0 s")


def test_held_in_time(scene: Scene) -> None:
    held(scene, 80, OLD)
    assert found(scene) == []


def test_held_again_in_time_after_a_person_released_it(scene: Scene) -> None:
    held(scene, 80, OLD)
    scene.command("cmd-1", "RELEASE", 60, scan_request_id="r-4")
    only(scene, "held", "HELD at the age of 19.9 s")


def test_held_with_a_device_that_was_not_on_hold(scene: Scene) -> None:
    held(scene, 40, WITH_DEVICE)
    only(scene, "held", "which was not on hold")
    scene.command("cmd-1", "HOLD", 35)
    scene.command("cmd-2", "RELEASE", 45)
    assert found(scene) == []


def test_held_by_a_person_whom_nobody_knows(scene: Scene) -> None:
    held(scene, 40, "held by a person (asked by Ada)")
    only(scene, "held", "nobody asked for it")
    scene.command("cmd-1", "PAUSE", 35, scan_request_id="r-4")
    assert found(scene) == []


def test_held_for_a_reason_that_is_none(scene: Scene) -> None:
    held(scene, 40, "it did not feel like it")
    only(scene, "held", "no rule knows")


def test_held_to_the_end_with_a_device_that_is_free(scene: Scene) -> None:
    held(scene, 40, WITH_DEVICE, last="HELD")
    scene.command("cmd-1", "HOLD", 35)
    assert found(scene) == []
    scene.command("cmd-2", "RELEASE", 45)
    only(scene, "ended", "HELD to the end")
    scene.event("r-4", "OVERDUE", 46, state="HELD", device_id="mri-1", cause=OLD)
    only(scene, "held", "HELD at the age of 16.0 s")


def test_a_start_on_a_device_on_hold(scene: Scene) -> None:
    scene.command("cmd-1", "HOLD", 5)
    only(scene, "hold", "mri-1 was on hold, and record 2 was started on it")
    scene.command("cmd-2", "RELEASE", 9)
    assert found(scene) == []


def test_a_hold_that_was_answered_again_after_a_crash_holds_from_then_on(scene: Scene) -> None:
    scene.command("cmd-1", "HOLD", 5)
    scene.answer("cmd-1", "taken: the device is on hold, 0 jobs wait", 15)
    scene.command("cmd-2", "RELEASE", 19)
    assert found(scene) == []


def test_a_start_of_a_job_that_a_person_held(scene: Scene) -> None:
    scene.command("cmd-1", "HOLD", 5, scan_request_id="r-2")
    assert any("held by a person, and started" in one for one in found(scene))
    scene.command("cmd-2", "RESUME", 9, scan_request_id="r-2")
    assert found(scene) == []


def test_a_start_of_a_job_that_is_too_old(scene: Scene) -> None:
    scene.starts[1]["wall"] = T0 + 100
    assert any("late: started at the age of 90.0 s" in one for one in found(scene))
    scene.command("cmd-1", "RELEASE", 90, "taken: it goes on", scan_request_id="r-2")
    assert not any(one.startswith("late") for one in found(scene))


def test_a_slow_device_notes_a_start_late(scene: Scene) -> None:
    scene.starts[1]["wall"] = T0 + 100
    body = {"record_id": 2}
    scene.asked.append({"wall": T0 + 10.2, "device": "mri-1", "service": "device", "body": body})
    assert found(scene) == []


def test_a_command_without_an_answer(scene: Scene) -> None:
    scene.command("cmd-1", "STOP", 5, None)
    only(scene, "commands", "STOP cmd-1 has no answers")


def test_a_command_with_two_answers(scene: Scene) -> None:
    scene.command("cmd-1", "STOP", 5, "nothing was done")
    scene.event("r-1", "COMMAND_ANSWERED", 6, command_id="cmd-1", device_id="mri-1")
    only(scene, "commands", "STOP cmd-1 has 2 answers")


def test_a_repeated_answer_is_one(scene: Scene) -> None:
    scene.command("cmd-1", "STOP", 5, "nothing was done")
    scene.answer("cmd-1", "nothing was done", 6)
    assert found(scene) == []


def test_an_answer_that_does_not_say_who_asked(scene: Scene) -> None:
    scene.command("cmd-1", "STOP", 5, "nothing was done", by="Ada")
    only(scene, "commands", "does not say that Ada asked")


def test_an_answer_that_nobody_asked_for(scene: Scene) -> None:
    scene.answer("cmd-1", "nothing was done", 5)
    only(scene, "commands", "an answer to cmd-1, which nobody sent")


def test_a_cancelled_job_that_goes_on(scene: Scene) -> None:
    scene.command("cmd-1", "CANCEL", 5, scan_request_id="r-2")
    sentences = found(scene)
    assert "commands: cmd-1 cancelled r-2, and it came to COMPLETED" in sentences
    assert "commands: cmd-1 cancelled r-2, and it was started afterwards" in sentences


def test_a_cancel_may_find_another_state_after_a_crash(scene: Scene) -> None:
    scene.command("cmd-1", "CANCEL", 5, scan_request_id="r-2")
    scene.answer("cmd-1", "this device takes no CANCEL: nothing was done", 12)
    assert len(found(scene)) == 2
    scene.runner.append({"wall": T0 + 6, "what": "kill", "worker": "w1"})
    assert found(scene) == []


def test_a_job_is_cancelled_and_nobody_asked(scene: Scene) -> None:
    held(scene, 80, OLD)
    scene.messages = [m for m in scene.messages if m.topic != wire.SCAN_COMMANDS]
    assert any("CANCELLED, and nobody asked for it" in one for one in found(scene))


def test_a_reason_that_somebody_else_may_read(scene: Scene) -> None:
    scene.command("cmd-1", "STOP", 5, f"nothing was done: {REASON}", reason=REASON)
    only(scene, "private", "the reason that a person gave")


def silent(scene: Scene, at: float, state: str = "RUNNING", cause: str = "no status") -> None:
    fields = {"record_id": 2, "device_id": "mri-1", "state": state, "cause": cause}
    scene.event("r-2", "OVERDUE", at, **fields)


def test_overdue_though_something_came(scene: Scene) -> None:
    silent(scene, 18)
    only(scene, "overdue", "OVERDUE in RUNNING, 7.3 s after a sign of it")


def test_overdue_in_time_but_twice(scene: Scene) -> None:
    silent(scene, 40)
    assert found(scene) == []
    silent(scene, 60)
    only(scene, "overdue", "announced as OVERDUE in RUNNING again")
    scene.add(wire.SCAN_STATUS, {"record_id": 2, "status_percent": 50}, "2", 42)
    assert found(scene) == []


def test_a_lease_that_is_not_over(scene: Scene) -> None:
    silent(scene, 25, "STARTED", "it holds its device for 20 s")
    only(scene, "overdue", "before its lease was over")


def test_a_silent_scan_that_nobody_was_told_of(scene: Scene) -> None:
    scene.job("r-4", at=20, n=4)
    scene.made("r-4", 4, "mri-1", 20)
    scene.moves("r-4", WAY[:4], 4, "mri-1", 20)
    scene.row("p1", "r-4")
    scene.rested(25, 60)
    assert "overdue: STARTED and silent for 40 s, and never OVERDUE" in found(scene)


def test_a_row_that_is_left_of_a_job_that_is_over(scene: Scene) -> None:
    scene.row("p1", "r-2")
    only(scene, "rows", "mri-1 still has the row p1, and its job is COMPLETED")
    scene.row("p1", None)
    assert found(scene) == []
