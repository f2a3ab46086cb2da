"""The way of a scan job: accepted once, resumed after a crash, held when it is old, refused in words."""

import pytest

from models import wire
from models.base import canonical
from models.errors import PermanentError, TransientError
from models.events import EventKind, ScanState
from models.managers import Record
from tests.unit.test_device_bench import Bench, Death


def kinds(bench: Bench) -> list[str]:
    return [event.event.value for event in bench.events()]


async def test_a_job_that_is_sent_twice_is_a_repeat() -> None:
    bench = Bench()
    await bench.agent.handle(bench.job())
    await bench.agent.handle(bench.job(offset=8))
    assert bench.managers.asked.count("create") == 1
    assert kinds(bench)[-1] == EventKind.REPEATED
    assert len(bench.producer.on(wire.DEVICE_TASKS)) == 1


async def test_another_job_under_a_request_id_that_is_taken_is_a_dead_letter() -> None:
    bench = Bench()
    await bench.agent.handle(bench.job())
    await bench.agent.handle(bench.job(offset=8, priority=5))
    (dead,) = bench.producer.on(wire.DEAD_LETTERS)
    assert dead.header["scanhub.cause"] == b"invalid"
    assert bench.managers.asked.count("create") == 1


async def test_the_same_request_id_on_two_devices_is_two_scans() -> None:
    bench = Bench()
    await bench.agent.handle(bench.job(device="d"))
    await bench.agent.handle(bench.job(device="e"))
    assert bench.managers.asked.count("create") == 2
    assert bench.row(device="e").stage is bench.row(device="d").stage is ScanState.READY


async def test_events_of_two_devices_have_their_own_ids() -> None:
    # Consumers drop repeats by event_id: with one id the second scan's acceptance is never seen.
    bench = Bench()
    await bench.agent.handle(bench.job(device="d"))
    await bench.agent.handle(bench.job(device="e"))
    accepted = [event for event in bench.events() if event.state is ScanState.ACCEPTED]
    assert {event.device_id for event in accepted} == {"d", "e"}
    assert len({event.event_id for event in accepted}) == 2


async def test_after_a_crash_the_record_is_looked_for_before_one_is_made() -> None:
    bench = Bench()
    bench.managers.errors["create"] = [TransientError("no answer")]  # made, but nobody heard
    await bench.agent.handle(bench.job())
    assert bench.row().stage is ScanState.WAITING
    bench.clock.move(10)
    await bench.wake_due()
    assert bench.managers.asked.count("create") == 1
    assert bench.row().record_id == 41
    assert EventKind.ADOPTED in kinds(bench)


async def test_a_list_that_does_not_come_makes_no_record() -> None:
    bench = Bench()
    bench.managers.errors["create"] = [TransientError("no answer")]
    bench.managers.errors["list"] = [TransientError("500", status=500)] * 3
    await bench.agent.handle(bench.job())
    for _ in range(3):
        bench.clock.move(10)
        await bench.wake_due()
    assert bench.managers.asked.count("create") == 1
    assert bench.row().record_id is None


async def test_a_redelivered_job_that_died_before_its_record_looks_first() -> None:
    bench = Bench()
    bench.managers.errors["sequence"] = [Death()]
    with pytest.raises(Death):
        await bench.agent.handle(bench.job())
    bench.restart()
    await bench.agent.handle(bench.job())
    assert bench.managers.asked.index("list") < bench.managers.asked.index("create")
    assert bench.row().stage is ScanState.READY


async def test_a_record_that_was_made_before_a_death_is_adopted_though_no_row_tells_of_it() -> None:
    bench = Bench()
    made = bench.managers.create_record

    async def make_and_die(job_id: int | str, comment: str) -> Record:
        await made(job_id, comment)
        raise Death

    bench.managers.create_record = make_and_die  # type: ignore[method-assign]
    with pytest.raises(Death):
        await bench.agent.handle(bench.job())
    bench.managers.create_record = made  # type: ignore[method-assign]
    bench.restart()
    await bench.agent.handle(bench.job())
    assert bench.managers.asked.count("create") == 1
    assert (bench.row().stage, bench.row().record_id) == (ScanState.READY, 41)
    assert bench.row().attempt > 1, "a spare record is looked for at the scan's end"


async def test_with_a_queue_a_job_has_its_row_before_its_record_is_made() -> None:
    bench = Bench(scans_per_device=1)
    bench.managers.errors["sequence"] = [Death()]
    with pytest.raises(Death):
        await bench.agent.handle(bench.job())
    assert bench.row().stage is ScanState.ACCEPTED, "its place in the queue has a job"


async def test_a_job_that_may_not_be_sent_fails_and_nobody_is_asked() -> None:
    bench = Bench()
    await bench.agent.handle(bench.job(acquisition_limits=None))
    assert bench.managers.asked == []
    assert bench.row().stage is ScanState.FAILED
    last = bench.events()[-1]
    assert (last.state, last.previous) == (ScanState.FAILED, ScanState.ACCEPTED)
    assert "acquisition_limits" in (last.cause or "")


async def test_what_a_manager_does_not_know_is_final() -> None:
    bench = Bench()
    bench.managers.errors["sequence"] = [PermanentError("knows no such sequence", status=404)]
    await bench.agent.handle(bench.job())
    assert bench.row().stage is ScanState.FAILED
    assert "create" not in bench.managers.asked


async def test_an_outage_fails_nothing_however_long() -> None:
    bench = Bench(start_max_age_s=10**6)
    bench.managers.well = False
    bench.managers.errors["sequence"] = [TransientError("502", status=502)] * 50
    await bench.agent.handle(bench.job())
    for _ in range(49):
        bench.clock.move(10)
        await bench.wake_due()
    assert bench.row().stage is ScanState.WAITING
    bench.clock.move(10)
    await bench.wake_due()
    assert bench.row().stage is ScanState.READY
    assert kinds(bench).count(EventKind.RETRYING) <= 1


async def test_five_failures_of_a_manager_that_is_well_are_the_jobs_own_fault() -> None:
    bench = Bench()
    bench.managers.errors["sequence"] = [TransientError("500", status=500)] * 50
    await bench.agent.handle(bench.job())
    tries = 1
    while bench.row().stage is ScanState.WAITING:
        bench.clock.move(10)
        await bench.wake_due()
        tries += 1
    assert tries == 5
    assert bench.row().stage is ScanState.FAILED
    assert not bench.parked.rows


async def test_a_bad_job_does_not_hold_up_the_next_one_for_ever() -> None:
    bench = Bench()
    bench.managers.errors["sequence"] = [TransientError("500", status=500)] * 5
    await bench.agent.handle(bench.job("r-1"))
    await bench.agent.handle(bench.job("r-2", offset=8))
    assert bench.managers.asked.count("sequence") == 1, "the second waits for the first"
    for _ in range(6):
        bench.clock.move(10)
        await bench.wake_due()
    assert bench.row("r-1").stage is ScanState.FAILED
    assert bench.row("r-2").stage is ScanState.READY


async def test_an_old_job_is_held_and_nobody_is_asked() -> None:
    bench = Bench()
    job = bench.job()
    bench.clock.move(901)
    await bench.agent.handle(job)
    assert bench.row().stage is ScanState.HELD
    assert bench.managers.asked == []
    assert bench.events()[-1].state is ScanState.HELD
    assert [name[:1] for name in bench.work.names(job.partition, "d")] == ["h"]


async def test_a_task_that_became_old_is_held_and_its_record_says_so() -> None:
    bench = Bench()
    await bench.agent.handle(bench.job())
    bench.clock.move(901)
    await bench.agent.handle(bench.task())
    assert "START" not in bench.managers.asked
    assert bench.row().stage is ScanState.HELD
    assert bench.heard()[0].state is ScanState.HELD


async def test_a_task_that_is_found_old_by_its_intent_is_held_and_its_record_says_so() -> None:
    # The second look: the intent's own write tells the broker's time, directly before START.
    bench = Bench()
    await bench.agent.handle(bench.job())
    bench.clock.move(899)
    task = bench.task()
    written = bench.requests.put

    def put(partition: int, key: str, row: object) -> object:
        bench.clock.move(2)
        return written(partition, key, row)  # type: ignore[arg-type]

    bench.requests.put = put  # type: ignore[method-assign, assignment]
    await bench.agent.handle(task)
    assert "START" not in bench.managers.asked
    assert bench.row().stage is ScanState.HELD
    assert bench.heard()[0].state is ScanState.HELD


@pytest.mark.parametrize("again", ["job", "task"])
async def test_a_redelivery_leaves_a_held_scan_held_in_everybodys_eyes(again: str) -> None:
    bench = Bench()
    job = bench.job()
    await bench.agent.handle(job)
    bench.clock.move(901)
    await bench.agent.handle(bench.task())
    bench.restart()
    await bench.agent.handle(job if again == "job" else bench.task())
    row, announced = bench.heard()
    assert row.state is ScanState.HELD
    # Whoever drops repeats by id must end with the same picture.
    seen: dict[str, str] = {}
    for one in announced:
        seen.setdefault(one.unique, one.fields["state"])
    assert list(seen.values())[-1] == ScanState.HELD


async def test_a_job_on_the_wrong_partition_is_moved_and_nothing_else() -> None:
    bench = Bench()
    job = bench.job()
    wrong = type(job)(**{**vars(job), "partition": (job.partition + 1) % 8})
    await bench.agent.handle(wrong)
    (moved,) = bench.producer.sent
    assert (moved.topic, moved.partition) == (wire.SCAN_JOBS, job.partition)
    assert bench.requests.rows == {}


async def test_a_record_id_keeps_its_type_and_its_key_is_canonical() -> None:
    bench = Bench(records="uuid")
    uuid = "01878B5E-D925-4068-8D2F-28C3872E8FA6"
    bench.managers.errors["create"] = [TransientError("no answer")]
    await bench.agent.handle(bench.job(id=uuid))
    comment = bench.managers.records[0].comment
    bench.managers.records = [Record(id=uuid, comment=comment, datetime_created="2024-01-01")]
    bench.clock.move(10)
    await bench.wake_due()
    assert bench.row().record_id == uuid
    assert bench.producer.on(wire.RECORD_STEPS)[0].key == canonical(uuid).encode()


async def test_commands_are_answered_and_no_emergency_stop_is_promised() -> None:
    bench = Bench()
    job = bench.job()
    body = b'{"command_id": "c", "command": "STOP", "device_id": "d", "by": "Anna Muster"}'
    command = type(job)(**{**vars(job), "topic": wire.SCAN_COMMANDS, "value": body})
    await bench.agent.handle(command)
    (answer,) = bench.events()
    assert answer.event is EventKind.COMMAND_ANSWERED
    assert "emergency" in (answer.advice or "")
    assert "asked by Anna Muster" in (answer.cause or ""), "who asked, and when, is in the event"
    assert answer.command_id == "c"


async def test_where_the_exam_manager_keeps_no_records_the_tasks_id_is_the_records() -> None:
    task = "7d2e9a52-0d8c-4a58-9c11-6f2f7f0a1c55"
    bench = Bench(records="task")
    await bench.agent.handle(bench.job(id=task, task_id=task))
    await bench.agent.handle(bench.task())
    assert bench.row().record_id == task
    assert bench.row().stage is ScanState.STARTED
    assert not {"create", "list"} & set(bench.managers.asked)
    assert bench.producer.on(wire.RECORD_STEPS)[0].key == task.encode()
