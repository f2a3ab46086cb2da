"""Commands: each has one answer, and what it says was done was done."""

from collections.abc import Iterator
from typing import Final

from models import wire
from models.events import ScanState as S
from sandbox.chaos.acts import REASON
from sandbox.chaos.facts import Command
from sandbox.chaos.history import History
from sandbox.chaos.rules.striking import OWNERSHIP, struck, worker_ended
from sandbox.chaos.rules.violation import Violation

_ENDING: Final = frozenset({"CANCEL", "STOP"})


def answered(history: History) -> Iterator[Violation]:
    """Each command has exactly one answer, which says who asked; a repeat has the same one."""
    for command in history.commands.values():
        about = (command.id, str(command.fields.get("scan_request_id") or ""))
        ids = {str(one.fields["event_id"]) for one in command.answers}
        if len(ids) != 1:
            sentence = f"{command.kind} {command.id} has {len(ids) or 'no'} answers"
            yield Violation(rule="commands", sentence=sentence, about=about)
        by = command.fields.get("by")
        told = [str(one.fields.get("cause")) for one in command.answers]
        if by is not None and not all(f"asked by {by}" in cause for cause in told):
            sentence = f"the answer to {command.id} does not say that {by} asked"
            yield Violation(rule="commands", sentence=sentence, about=about)
    for event in history.events:
        asked = event.fields.get("command_id")
        if event.kind == "COMMAND_ANSWERED" and asked not in history.commands:
            sentence = f"an answer to {asked}, which nobody sent"
            yield Violation(rule="commands", sentence=sentence, about=(str(asked),))


def obeyed(history: History) -> Iterator[Violation]:
    """See that what was cancelled is CANCELLED, and is not started afterwards."""
    for command in history.commands.values():
        key = history.job_of(command)
        if command.kind not in _ENDING or not command.taken or key is None:
            continue
        if _doubtful(history, command):
            continue
        about = (key[1], history.record_of.get(key, ""), command.id)
        changes = history.changes.get(key, [])
        last = changes[-1].state if changes else "nothing"
        if last != S.CANCELLED:
            sentence = f"{command.id} cancelled {key[1]}, and it came to {last}"
            yield Violation(rule="commands", sentence=sentence, about=about)
        at = command.taken[0].ms
        if any(ms > at for ms in history.intents.get(history.record_of.get(key, ""), ())):
            sentence = f"{command.id} cancelled {key[1]}, and it was started afterwards"
            yield Violation(rule="commands", sentence=sentence, about=about)


def _doubtful(history: History, command: Command) -> bool:
    """Tell whether a worker died between the first answer and the deed, and found another state then.

    The answer comes before the deed; what led elsewhere meanwhile was handled by the next worker.
    """
    if len({str(one.fields.get("cause")) for one in command.answers}) == 1:
        return False
    span = command.answers[0].ms / 1000 - 1, command.answers[-1].ms / 1000
    return worker_ended(history, *span) or struck(history, *span, OWNERSHIP)


def unasked(history: History) -> Iterator[Violation]:
    """Nobody's scan is CANCELLED without a command."""
    for key, changes in history.changes.items():
        if changes[-1].state == S.CANCELLED and not any(
            command.kind in _ENDING for command in history.commands_of.get(key, ())
        ):
            sentence = "CANCELLED, and nobody asked for it"
            about = (key[1], changes[-1].record or "")
            yield Violation(rule="commands", sentence=sentence, about=about)


def private(history: History) -> Iterator[Violation]:
    """See that a person's reason, which is free text, is in no event (promise 8)."""
    for message in history.of(wire.SCAN_EVENTS):
        if REASON.encode() in (message.value or b""):
            sentence = "an event holds the reason that a person gave"
            yield Violation(rule="private", sentence=sentence, about=(message.here,))
