"""The checker's rules for queues: each seen to fail on its own."""

from typing import Any

import pytest

from models import wire
from tests.chaos.histories import T0, WAY, Scene, found, only


@pytest.fixture
def scene() -> Scene:
    """A scan, and another one of the same device that waits for it."""
    scene = Scene()
    scene.scan("r-1", 1, "mri-1", 0)
    scene.scan("r-2", 2, "mri-1", 10)
    return scene


def waiting(scene: Scene, request: str, record: int, at: float, until: float, **job: Any) -> None:
    """A job that is QUEUED from `at` on, and goes on at `until`."""
    scene.job(request, "mri-1", at, record, **job)
    scene.made(request, record, "mri-1", at)
    scene.moves(request, ("ACCEPTED", "QUEUED"), record, "mri-1", at, count=1)
    begun = {"record_id": record, "device_id": "mri-1"}
    scene.event(request, "STATE_CHANGED", until, state="READY", previous="QUEUED", **begun)
    scene.event(request, "STATE_CHANGED", until + 0.1, state="FAILED", previous="READY", **begun,
                cause="the device refused the order (422) (not started)")  # fmt: skip
    scene.step(record, "READY", until)
    scene.step(record, "FAILED", until + 0.1)


def test_nothing_is_found_in_a_clean_history(scene: Scene) -> None:
    waiting(scene, "r-3", 3, 20, 25)
    scene.rested(30, 40)
    assert found(scene) == []


def test_a_start_while_another_scan_has_the_scanner(scene: Scene) -> None:
    scene.scan("r-3", 3, "mri-1", 10.1)
    only(scene, "alone", "mri-1 was given record 3, and 2 was over 0.10 s later")


@pytest.mark.parametrize("attempt", [1, 2])
def test_an_intent_that_the_next_worker_tells_again_is_no_new_one(
    scene: Scene, attempt: int
) -> None:
    """The scan's data came before the crash: its scanner was free since then."""
    scene.step(2, "STARTING", 10.15, attempt=1)
    scene.step(2, "STARTING", 15, attempt=attempt)
    scene.scan("r-3", 3, "mri-1", 20)
    never_over = any("given record 3, and 2 was never over" in one for one in found(scene))
    assert never_over is (attempt == 2)


def test_a_scan_of_which_nothing_came_has_its_scanner_until_a_person_cancels_it(
    scene: Scene,
) -> None:
    scene.scan("r-3", 3, "mri-1", 20)
    scene.messages = [
        message for message in scene.messages
        if not (message.topic == wire.RESULT_UPLOADS and b'"record_id": 2' in (message.value or b""))
    ]  # fmt: skip
    assert any("given record 3, and 2 was never over" in one for one in found(scene))
    scene.command("cmd-1", "CANCEL", 15, record_id=2)
    assert not any(one.startswith("alone") for one in found(scene))


def test_one_that_came_later_goes_before_one_that_waits(scene: Scene) -> None:
    waiting(scene, "r-3", 3, 5, 30)
    scene.scan("r-4", 4, "mri-1", 20)
    only(scene, "ordered", "mri-1 went on with r-4 before r-3")


def test_one_that_came_later_may_be_urgent(scene: Scene) -> None:
    scene = Scene()
    waiting(scene, "r-3", 3, 0, 30)
    scene.job("r-4", "mri-1", 5, 4, priority=7)
    scene.moves("r-4", WAY[:-1], 4, "mri-1", 5)
    scene.step(4, "READY", 5.1)
    scene.step(4, "STARTING", 5.2)
    assert not any(one.startswith("ordered") for one in found(scene))


def test_an_urgent_one_waits_and_another_goes_on(scene: Scene) -> None:
    waiting(scene, "r-3", 3, 5, 30, priority=7)
    only(scene, "ordered", "mri-1 went on with r-2 before r-3")


def test_one_that_waits_may_be_passed_when_a_worker_ended_before_it_was_known(
    scene: Scene,
) -> None:
    waiting(scene, "r-3", 3, 5, 30)
    scene.runner.append({"wall": T0 + 5.05, "what": "kill", "worker": "w1"})
    assert found(scene) == []


@pytest.mark.parametrize("place", [None, 0])
def test_a_place_that_is_none(scene: Scene, place: int | None) -> None:
    scene.event("r-1", "STATE_CHANGED", -1, state="QUEUED", device_id="mri-2", count=place)
    assert f"placed: QUEUED, and its place is told as {place}" in found(scene)


def test_a_job_that_goes_on_from_the_third_place(scene: Scene) -> None:
    waiting(scene, "r-3", 3, 20, 25)
    told = {"state": "QUEUED", "device_id": "mri-1"}
    scene.event("r-3", "PROGRESS", 22, count=3, **told)
    only(scene, "placed", "it went on from place 3")
    scene.event("r-3", "PROGRESS", 23, count=1, **told)
    assert found(scene) == []


def test_a_queue_that_stands_still(scene: Scene) -> None:
    scene.rested(12, 60)
    waiting(scene, "r-3", 3, 20, 50)
    only(scene, "moved", "mri-1 was idle for 30 s while r-3 waited")


def test_a_queue_stands_still_while_its_device_is_on_hold(scene: Scene) -> None:
    scene.rested(12, 60)
    waiting(scene, "r-3", 3, 20, 50)
    scene.command("cmd-1", "HOLD", 21)
    scene.command("cmd-2", "RELEASE", 49)
    assert found(scene) == []
