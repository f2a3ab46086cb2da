"""The checker's rule for UNKNOWN: only where a START's outcome could be kept from us."""

import pytest

from models import wire
from tests.chaos.histories import T0, WAY, Scene
from tests.unit.test_chaos_checker import found, only


@pytest.fixture
def scene() -> Scene:
    """Three scans that went well, and one malformed message."""
    scene = Scene()
    scene.scan("r-1", 1, "mri-1", 0)
    scene.scan("r-2", 2, "mri-1", 10)
    scene.scan("r-3", 3, "mri-2", 20)
    scene.bad()
    return scene


def unknown(scene: Scene, way: tuple[str, ...] = (*WAY[:3], "UNKNOWN")) -> None:
    scene.job("r-4", at=30, n=4)
    scene.made("r-4", 4, "mri-1", 30)
    scene.moves("r-4", way, 4, "mri-1", 30)
    scene.row("p1", "r-4")


def test_unknown_without_any_reason(scene: Scene) -> None:
    unknown(scene)
    only(scene.history(), "unknown", "nothing struck")


def test_unknown_without_an_intent(scene: Scene) -> None:
    unknown(scene, ("ACCEPTED", "READY", "UNKNOWN"))
    assert any("without an intent" in sentence for sentence in found(scene.history()))


@pytest.mark.parametrize(("kind", "target"), [("device-drop", "mri-1"), ("broker-kill", "broker")])
def test_unknown_with_a_reason(scene: Scene, kind: str, target: str) -> None:
    unknown(scene)
    scene.strikes(kind, target, 28, 31)
    assert found(scene.history()) == []


def test_a_reason_counts_from_the_intent_though_it_was_announced_later(scene: Scene) -> None:
    unknown(scene)
    scene.strikes("device-drop", "mri-1", 17, 19)
    scene.add(wire.RECORD_STEPS, {"kind": "scan", "state": "STARTING"}, "4", 18)
    assert found(scene.history()) == []


def test_unknown_because_a_worker_died(scene: Scene) -> None:
    unknown(scene)
    scene.runner.append({"wall": T0 + 30.25, "what": "kill", "worker": "w1"})
    assert found(scene.history()) == []


@pytest.mark.parametrize("what", ["kill", "device-drop"])
def test_a_worker_that_died_before_it_told_of_its_intent_is_a_reason_and_no_other_is(
    scene: Scene, what: str
) -> None:
    """READY at 30.1, STARTING at 34: between them the next worker came up, and told of the intent."""
    unknown(scene, ("ACCEPTED", "READY"))
    told = {"device_id": "mri-1", "record_id": 4}
    scene.event("r-4", "STATE_CHANGED", 34, state="STARTING", previous="READY", **told)
    scene.event("r-4", "STATE_CHANGED", 34.1, state="UNKNOWN", previous="STARTING", **told)
    if what == "kill":
        scene.runner.append({"wall": T0 + 30.2, "what": "kill", "worker": "w1"})
        assert found(scene.history()) == []
    else:
        scene.strikes(what, "mri-1", 30.2, 30.4)
        only(scene.history(), "unknown", "nothing struck")


@pytest.mark.parametrize(("task_at", "well"), [(20, True), (25, False)])
def test_a_death_between_the_task_and_a_late_word_of_it_is_a_reason(
    scene: Scene, task_at: float, *, well: bool
) -> None:
    """The worker that took the task died with its intent untold; READY was announced by the next."""
    unknown(scene)
    scene.runner.append({"wall": T0 + 21, "what": "kill", "worker": "w1"})
    headers = {wire.REQUEST_ID: "r-4", wire.MESSAGE_ID: "t-1"}
    for at in (task_at, 30):  # sent again after the crash, with its id
        scene.add(wire.DEVICE_TASKS, {"record_id": 4}, "mri-1", at, headers)
    if well:
        assert found(scene.history()) == []
    else:
        only(scene.history(), "unknown", "nothing struck")


def test_another_device_s_fault_is_no_reason(scene: Scene) -> None:
    unknown(scene)
    scene.strikes("device-drop", "mri-2", 28, 31)
    only(scene.history(), "unknown", "nothing struck")
