"""Every job that Kafka acknowledged came to one end, on allowed ways, and that was announced."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from models.events import FINAL
from models.events import ScanState as S
from models.workflow import WorkflowStatus as W
from sandbox.chaos.facts import Event
from sandbox.chaos.history import History
from sandbox.chaos.plan import Kind
from sandbox.chaos.rules.striking import OWNERSHIP, struck, worker_ended
from sandbox.chaos.rules.violation import Violation

ENDS: Final = FINAL | {S.UNKNOWN, S.HELD}
_SLACK_S: Final = 1.0
_NO_REASON: Final = frozenset({Kind.DEVICE_LOST.value})
"""A fault of a device that leaves its answer to START as it is."""

# Written down from docs/interface.md on its own: the processor's table must not judge itself.
HOPS: Final[Mapping[S, frozenset[S]]] = {
    S.ACCEPTED: frozenset({S.WAITING, S.HELD, S.QUEUED, S.READY, S.FAILED, S.CANCELLED}),
    S.WAITING: frozenset({S.ACCEPTED, S.READY, S.HELD, S.FAILED, S.CANCELLED}),
    S.QUEUED: frozenset({S.ACCEPTED, S.READY, S.HELD, S.FAILED, S.CANCELLED}),
    S.HELD: frozenset({S.ACCEPTED, S.READY, S.FAILED, S.CANCELLED}),
    S.READY: frozenset({S.STARTING, S.HELD, S.FAILED, S.CANCELLED}),
    S.STARTING: frozenset({S.STARTED, S.UNKNOWN, S.READY, S.FAILED, S.RUNNING, S.ACQUIRED}),
    S.UNKNOWN: frozenset({S.STARTED, S.RUNNING, S.ACQUIRED, S.READY, S.FAILED, S.CANCELLED}),
    S.STARTED: frozenset({S.RUNNING, S.FAILED, S.CANCELLED}),
    S.RUNNING: frozenset({S.ACQUIRED, S.FAILED, S.CANCELLED}),
    S.ACQUIRED: frozenset({S.RECONSTRUCTING, S.FAILED, S.CANCELLED}),
    S.RECONSTRUCTING: frozenset({S.COMPLETED, S.FAILED, S.CANCELLED}),
    S.COMPLETED: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}


def kept(history: History) -> Iterator[Violation]:
    """See that what Kafka acknowledged to the client stands where Kafka said."""
    placed = {message.here: message.mark for message in history.messages}
    for line in history.client:
        if line["what"] == "acknowledged":
            here = f"{line['topic']}-{line['partition']}-{line['offset']}"
            if placed.get(here) != line["mark"]:
                yield Violation(
                    rule="kept",
                    sentence=f"Kafka acknowledged {line['mark']} at {here}, and it is not there",
                    about=(str(line["mark"]),),
                )


def ended(history: History) -> Iterator[Violation]:
    """Each job ended in exactly one end, announced; final states never went back."""
    for (device, request), job in history.jobs.items():
        changes = history.changes.get((device, request), [])
        about = (request, history.record_of.get((device, request), ""))
        if not changes:
            yield Violation(
                rule="ended",
                sentence=f"the job of offset {job.order} for {device} was never announced: lost",
                about=about,
            )
            continue
        if changes[-1].state not in ENDS and not _left(history, changes[-1]):
            yield Violation(
                rule="ended",
                sentence=f"the job for {device} came as far as {changes[-1].state} and stayed there",
                about=about,
            )
        yield from _final(changes, about)


def _left(history: History, last: Event) -> bool:
    """Tell if a scan's workflow was cancelled after it: its data wait for a task that never comes."""
    facts = history.flow_facts.get(str(last.fields.get("workflow_id")))
    return last.state == S.ACQUIRED and facts is not None and facts.last["status"] == W.CANCELLED


def _final(changes: list[Event], about: tuple[str, ...]) -> Iterator[Violation]:
    finals = [event for event in changes if event.state in FINAL]
    states = sorted({event.state for event in finals})
    if len(states) > 1:
        sentence = f"announced as {' and as '.join(states)}: a job has one end"
        yield Violation(rule="ended", sentence=sentence, about=about)
    elif finals and changes[-1].state not in FINAL:
        sentence = f"{states[0]} went back to {changes[-1].state}"
        yield Violation(rule="ended", sentence=sentence, about=about)


def hopped(history: History) -> Iterator[Violation]:
    """Each announced change is one that the interface's table allows."""
    for (_, request), changes in history.changes.items():
        for event in changes:
            before = event.fields.get("previous")
            allowed = {S.ACCEPTED} if before is None else HOPS[S(before)]
            if event.state not in allowed:
                yield Violation(
                    rule="hopped",
                    sentence=f"the change from {before} to {event.state} is not in the table",
                    about=(request, event.record or ""),
                )


def walked(history: History) -> Iterator[Violation]:
    """See that the changes of a scan make one way: each state is left as often as it was entered.

    Two changes with one id would be one to whoever drops repeats. A worker that ends between an
    event and its row may announce a way that the next one does not go.
    """
    for (_, request), changes in history.changes.items():
        balance = Counter(str(event.state) for event in changes)
        balance.subtract(str(x) for event in changes if (x := event.fields.get("previous")))
        wrong = [state for state, count in balance.items() if count not in (0, 1)]
        ends = [state for state, count in balance.items() if count == 1]
        since, until = changes[0].ms / 1000 - 1, changes[-1].ms / 1000
        if (wrong or ends != [changes[-1].state]) and not (
            worker_ended(history, since, until) or struck(history, since, until, OWNERSHIP)
        ):
            way = " → ".join(event.state for event in changes)
            sentence = f"its changes make no way: {way}"
            yield Violation(rule="walked", sentence=sentence, about=(request,))


def unknown(history: History) -> Iterator[Violation]:
    """UNKNOWN only where an intent was announced, and something could keep its outcome from us."""
    for (device, request), changes in history.changes.items():
        intents = [event.ms for event in changes if event.state == S.STARTING]
        for event in changes:
            if event.state != S.UNKNOWN:
                continue
            about = (request, event.record or "")
            before = [ms for ms in intents if ms <= event.ms]
            if not before:
                sentence = "UNKNOWN without an intent: STARTING was never announced"
                yield Violation(rule="unknown", sentence=sentence, about=about)
                continue
            announced = max(before)
            earlier = [ms for ms in history.intents.get(event.record or "", ()) if ms < announced]
            since = max(earlier, default=announced)
            ready = max(
                (e.ms for e in changes if e.state == S.READY and e.ms <= since), default=since
            )
            # READY may be announced by the next worker only; its task was at the broker before.
            tasks = history.tasks.get((device, request), ())
            begun = min(ready, max((ms for ms in tasks if ms <= since), default=ready))
            # A worker that dies before it tells of its intent leaves that to the next one.
            died = worker_ended(history, begun / 1000 - _SLACK_S, since / 1000)
            if not died and not _had_a_reason(history, device, event, since):
                sentence = "UNKNOWN, though nothing struck the device or a worker meanwhile"
                yield Violation(rule="unknown", sentence=sentence, about=about)


def _had_a_reason(history: History, device: str, event: Event, intent_ms: int) -> bool:
    since, until = intent_ms / 1000 - _SLACK_S, event.ms / 1000 + _SLACK_S
    of_device = {kind.value for kind in Kind if kind.value.startswith("device-")} - _NO_REASON
    return (
        worker_ended(history, since, until)
        or struck(history, since, until, OWNERSHIP)
        or struck(history, since, until, of_device, target=device)
    )
