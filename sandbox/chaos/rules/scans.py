"""Every job that Kafka acknowledged came to one end, on allowed ways, and that was announced."""

from collections.abc import Iterator, Mapping
from typing import Final

from models.events import FINAL
from models.events import ScanState as S
from sandbox.chaos.history import Event, History
from sandbox.chaos.plan import Kind
from sandbox.chaos.rules.striking import OWNERSHIP, struck, worker_ended
from sandbox.chaos.rules.violation import Violation

ENDS: Final = FINAL | {S.UNKNOWN, S.HELD}
MAX_AGE_MS: Final = 900_000
"""START_MAX_AGE as the run leaves it; nothing may be HELD sooner."""
_SLACK_S: Final = 1.0

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
        if changes[-1].state not in ENDS:
            yield Violation(
                rule="ended",
                sentence=f"the job for {device} came as far as {changes[-1].state} and stayed there",
                about=about,
            )
        yield from _final(changes, about)


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


def held(history: History) -> Iterator[Violation]:
    """Only a job that is older than START_MAX_AGE, by the broker's clock, is HELD (promise 9)."""
    for key, changes in history.changes.items():
        job = history.jobs.get(key)
        for event in changes:
            if event.state == S.HELD and job is not None and event.ms - job.born_ms < MAX_AGE_MS:
                yield Violation(
                    rule="held",
                    sentence=f"HELD at the age of {(event.ms - job.born_ms) / 1000:.1f} s",
                    about=(key[1], event.record or ""),
                )


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
            if not _had_a_reason(history, device, event, max(earlier, default=announced)):
                sentence = "UNKNOWN, though nothing struck the device or a worker meanwhile"
                yield Violation(rule="unknown", sentence=sentence, about=about)


def _had_a_reason(history: History, device: str, event: Event, intent_ms: int) -> bool:
    since, until = intent_ms / 1000 - _SLACK_S, event.ms / 1000 + _SLACK_S
    of_device = {kind.value for kind in Kind if kind.value.startswith("device-")}
    return (
        worker_ended(history, since, until)
        or struck(history, since, until, OWNERSHIP)
        or struck(history, since, until, of_device, target=device)
    )
