"""Only contiguous finished prefixes are given back: in order, each once, nothing behind a gap."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.ledger import Entry, Ledger

PLACES = st.sampled_from(["a-0", "a-1", "b-0"])


class LedgerMachine(RuleBasedStateMachine):
    """Compares the ledger with plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger: Ledger[int] = Ledger()
        self.number = 0
        self.came: dict[str, list[int]] = {}
        self.done: set[int] = set()
        self.given: dict[str, list[int]] = {}
        self.running: list[Entry[int]] = []
        self.old: list[Entry[int]] = []

    @rule(place=PLACES)
    def begin(self, place: str) -> None:
        self.running.append(self.ledger.begin(place, self.number))
        self.came.setdefault(place, []).append(self.number)
        self.number += 1

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        entry = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        place = str(entry.place)
        given = self.given.setdefault(place, [])
        self.done.add(entry.message)
        ready = self.ledger.finish(entry)
        expected = []
        for number in self.came[place][len(given) :]:
            if number not in self.done:
                break
            expected.append(number)
        assert ready == expected
        given += ready

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def finish_what_was_open_before_a_clear(self, data: st.DataObject) -> None:
        entry = self.old.pop(data.draw(st.integers(0, len(self.old) - 1)))
        assert self.ledger.finish(entry) == []

    @rule()
    def clear(self) -> None:
        self.ledger.clear()
        self.old += self.running
        self.running = []
        self.came, self.given = {}, {}

    @invariant()
    def size_is_what_is_not_given_back(self) -> None:
        came = sum(len(numbers) for numbers in self.came.values())
        assert self.ledger.size == came - sum(len(numbers) for numbers in self.given.values())

    @invariant()
    def what_was_given_is_a_finished_prefix(self) -> None:
        for place, given in self.given.items():
            assert given == self.came[place][: len(given)]
            assert self.done.issuperset(given)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_an_open_entry_is_a_wall_for_its_own_place_only() -> None:
    ledger: Ledger[str] = Ledger()
    slow = ledger.begin("a-0", "slow")
    behind = ledger.begin("a-0", "behind")
    elsewhere = ledger.begin("b-0", "elsewhere")
    assert ledger.finish(behind) == []
    assert ledger.finish(elsewhere) == ["elsewhere"]
    assert ledger.finish(slow) == ["slow", "behind"]
    assert ledger.size == 0


def test_an_old_entry_does_not_free_what_came_after_the_clear() -> None:
    ledger: Ledger[str] = Ledger()
    old = ledger.begin("a-0", "old")
    ledger.clear()
    again = ledger.begin("a-0", "again")
    assert ledger.finish(old) == []
    assert ledger.size == 1
    assert ledger.finish(again) == ["again"]
