"""The plan of faults and the load: made by a seed, whole, and possible."""

from itertools import pairwise

import pytest

from models.scan import ScanJob
from sandbox.chaos.plan import GROUPS, Kind, make_plan
from sandbox.chaos.traffic import BAD, Form, Sender, body, make_traffic

TARGETS = {
    "worker": ["w1", "w2"],
    "extra": ["w3"],
    "broker": ["broker"],
    "link": ["link-w1", "link-w2"],
    "manager": ["manager-exam", "manager-device", "manager-sequence"],
    "exam": ["manager-exam"],
    "device": ["d1", "d2", "d3", "d4"],
    "lake": ["lake"],
}
SEEDS = range(40)


def test_each_group_of_targets_is_known_here() -> None:
    assert set(TARGETS) == GROUPS


@pytest.mark.parametrize("seconds", [120, 180, 1200])
def test_every_kind_strikes_at_least_once(seconds: float) -> None:
    for seed in SEEDS:
        assert {fault.kind for fault in make_plan(seed, seconds, TARGETS)} == set(Kind)


def test_a_long_plan_has_as_many_faults_as_are_asked_for() -> None:
    for seed in SEEDS:
        assert len(make_plan(seed, 1200, TARGETS, at_least=50)) == 50


def test_a_seed_gives_the_same_plan_each_time_and_another_seed_another() -> None:
    assert make_plan(7, 300, TARGETS, at_least=30) == make_plan(7, 300, TARGETS, at_least=30)
    assert make_plan(7, 300, TARGETS) != make_plan(8, 300, TARGETS)


def test_faults_of_one_target_never_overlap_and_all_end_in_time() -> None:
    for seed in SEEDS:
        plan = make_plan(seed, 1200, TARGETS, at_least=60)
        for target in {fault.target for fault in plan}:
            mine = [fault for fault in plan if fault.target == target]
            for before, after in pairwise(mine):
                assert before.t + before.seconds < after.t
        assert all(fault.t >= 0 and fault.t + fault.seconds <= 1200 for fault in plan)


def test_faults_of_different_targets_do_overlap() -> None:
    plan = make_plan(1, 120, TARGETS)
    assert any(a.t < b.t < a.t + a.seconds for a in plan for b in plan if a.target != b.target)


def test_a_kind_without_a_target_is_left_out() -> None:
    plan = make_plan(1, 180, {**TARGETS, "lake": []})
    assert {fault.kind for fault in plan} == set(Kind) - {Kind.DISK_FULL}


def test_too_short_a_time_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="too short for one fault of each kind"):
        make_plan(1, 20, TARGETS)


def test_a_plan_of_no_kinds_is_empty() -> None:
    assert make_plan(1, 60, TARGETS, kinds=(), at_least=5) == ()


def test_the_load_has_every_form_and_every_sender() -> None:
    orders = make_traffic(3, 1200, 2000, ["d1", "d2"])
    assert {order.form for order in orders} == set(Form)
    assert {order.sender for order in orders} == set(Sender)
    jobs = [order for order in orders if order.form in (Form.JOB, Form.METRES)]
    assert len(jobs) >= 2000
    assert any(order.request_id is None for order in jobs)
    assert {order.priority > 0 for order in jobs} == {True, False}
    assert any(order.priority < 0 for order in jobs)
    assert orders == make_traffic(3, 1200, 2000, ["d1", "d2"])


def test_marks_tell_all_messages_apart() -> None:
    orders = make_traffic(3, 1200, 2000, ["d1", "d2"])
    assert len({order.mark for order in orders}) == len(orders)
    assert {order.form for order in orders if order.mark.startswith("bad-")} == BAD


def test_a_repeat_is_the_same_message_again_and_a_conflict_is_not() -> None:
    orders = make_traffic(3, 1200, 2000, ["d1", "d2"])
    jobs = {(o.device, o.request_id): o for o in orders if o.form is Form.JOB}
    for order in orders:
        job = jobs.get((order.device, order.request_id))
        if order.form is Form.REPEAT:
            assert job is not None
            assert body(order) == body(job)
        if order.form is Form.CONFLICT:
            assert job is not None
            assert body(order) != body(job)
            ScanJob.from_bytes(body(order) or b"")  # whole, and another one's all the same
            assert (order.sender, job.sender, order.t > job.t) == (
                Sender.MURMUR2, Sender.MURMUR2, True,
            )  # fmt: skip


def test_some_request_ids_are_of_two_devices() -> None:
    orders = make_traffic(3, 1200, 2000, ["d1", "d2"])
    named = [(o.request_id, o.device) for o in orders if o.request_id and o.form is Form.JOB]
    assert len({request for request, _ in named}) < len(set(named))
