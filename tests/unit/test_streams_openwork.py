"""Open work: in order for each owner, due in time, and the same after a restart."""

import pytest

from models.work import WorkRow
from streams.openwork import OpenWork, back_off_ms
from tests.unit.test_streams_fakes import MemoryTable


@pytest.fixture
def table() -> MemoryTable[WorkRow]:
    return MemoryTable(WorkRow)


@pytest.fixture
def work(table: MemoryTable[WorkRow]) -> OpenWork[WorkRow]:
    return OpenWork(table)


def due_names(work: OpenWork[WorkRow], now_ms: int) -> list[str]:
    return [due.name for due in work.due(now_ms)]


def test_names_are_in_order_for_each_owner_and_kind(work: OpenWork[WorkRow]) -> None:
    for owner, name in (("d", "q3"), ("d", "q1"), ("e", "q0"), ("d", "h9"), ("d", "q2")):
        work.put(0, owner, name, WorkRow())
    work.put(1, "d", "q0", WorkRow())
    assert work.names(0, "d") == ["h9", "q1", "q2", "q3"]
    assert work.names(0, "d", "q") == ["q1", "q2", "q3"]
    assert work.first(0, "d", "q") == "q1"
    assert work.first(0, "d", "x") is None
    assert work.first(0, "nobody", "q") is None
    assert work.count(0, "d") == 4
    assert work.size == 6
    assert sorted(work.owners()) == [(0, "d"), (0, "e"), (1, "d")]


def test_writing_a_row_again_keeps_one_row(work: OpenWork[WorkRow]) -> None:
    work.put(0, "d", "q1", WorkRow(version=0))
    work.put(0, "d", "q1", WorkRow(version=1))
    assert work.names(0, "d") == ["q1"]
    assert work.size == 1
    row = work.get(0, "d", "q1")
    assert row is not None
    assert row.version == 1


def test_what_is_due_comes_in_the_order_of_its_time_and_once(work: OpenWork[WorkRow]) -> None:
    for name, due_ms in (("late", 300), ("soon", 100), ("never", None), ("next", 200)):
        work.put(0, "d", name, WorkRow(due_ms=due_ms))
    assert due_names(work, 99) == []
    assert due_names(work, 200) == ["soon", "next"]
    assert due_names(work, 200) == []
    assert due_names(work, 10**15) == ["late"]


def test_a_due_row_tells_the_version_it_was_set_for(work: OpenWork[WorkRow]) -> None:
    work.put(0, "d", "q1", WorkRow(due_ms=100, version=4))
    work.put(0, "d", "q1", WorkRow(due_ms=500, version=5))
    row = work.get(0, "d", "q1")
    assert row is not None
    early = list(work.due(100))
    assert all(due.version != row.version for due in early)
    assert [(due.name, due.version) for due in work.due(500)] == [("q1", 5)]


def test_no_more_is_taken_at_once_than_asked(work: OpenWork[WorkRow]) -> None:
    for number in range(10):
        work.put(0, "d", f"q{number}", WorkRow(due_ms=number))
    assert [due.name for due in work.due(100, most=4)] == ["q0", "q1", "q2", "q3"]
    assert len(due_names(work, 100)) == 6


def test_a_dropped_row_is_gone_and_never_due(
    table: MemoryTable[WorkRow], work: OpenWork[WorkRow]
) -> None:
    work.put(0, "d", "q1", WorkRow(due_ms=1))
    assert work.drop(0, "d", "q1") is not None
    assert work.drop(0, "d", "q1") is None
    assert work.drop(0, "nobody", "q1") is None
    assert work.get(0, "d", "q1") is None
    assert due_names(work, 10) == []
    assert work.size == 0
    assert work.owners() == []
    assert table.rows == {}


def test_after_a_restart_all_is_as_before(
    table: MemoryTable[WorkRow], work: OpenWork[WorkRow]
) -> None:
    for number, due_ms in ((3, 30), (1, None), (2, 20)):
        work.put(0, "d\u00fc", f"q{number}", WorkRow(due_ms=due_ms, version=number))
    work.put(5, "e", "early/000000", WorkRow(due_ms=25))
    again = OpenWork(table.lives_on())
    assert again.size == 0
    rows = again.rebuild()
    assert sorted((p, owner, name) for p, owner, name, _ in rows) == [
        (0, "d\u00fc", "q1"),
        (0, "d\u00fc", "q2"),
        (0, "d\u00fc", "q3"),
        (5, "e", "early/000000"),
    ]
    assert again.names(0, "d\u00fc") == ["q1", "q2", "q3"]
    assert [(due.name, due.version) for due in again.due(100)] == [
        ("q2", 2),
        ("early/000000", 0),
        ("q3", 3),
    ]


def test_each_rebalance_counts_the_rows_anew(work: OpenWork[WorkRow]) -> None:
    # The count bounds what is kept (agents/record/book.py): one that only grows would in the end
    # turn early messages into dead letters.
    work.put(0, "d", "q1", WorkRow(due_ms=1))
    for _ in range(3):
        work.rebuild()
    assert work.size == 1
    assert due_names(work, 10) == ["q1"]


def test_after_a_rebalance_rows_of_others_are_forgotten(
    table: MemoryTable[WorkRow], work: OpenWork[WorkRow]
) -> None:
    work.put(0, "d", "q1", WorkRow(due_ms=1))
    work.put(1, "e", "q1", WorkRow(due_ms=1))
    del table.rows[0, "d\x00q1"]  # that partition went to another worker
    work.rebuild()
    assert work.owners() == [(1, "e")]
    assert [due.owner for due in work.due(10)] == ["e"]


def test_fifty_thousand_rows_of_one_owner_cost_one_write_each(
    table: MemoryTable[WorkRow], work: OpenWork[WorkRow]
) -> None:
    many = 50_000
    for number in range(many):
        work.put(0, "d", f"q{number * 7919 % many:06d}", WorkRow(due_ms=number))
    assert len(table.writes) == many
    for number in range(many):
        first = work.first(0, "d", "q")
        assert first == f"q{number:06d}"
        work.drop(0, "d", first)
    assert len(table.writes) == 2 * many
    assert table.walks == 0
    assert work.size == 0


def test_the_back_off_doubles_and_is_bounded() -> None:
    assert [back_off_ms(tries, 0.5, 5.0) for tries in range(6)] == [
        500,
        1000,
        2000,
        4000,
        5000,
        5000,
    ]
    assert back_off_ms(10**9, 0.5, 5.0) == 5000
