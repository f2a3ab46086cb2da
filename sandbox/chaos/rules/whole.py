"""The run as a whole: tables equal the topics after a last restart, and enough went through."""

from collections.abc import Iterator
from typing import Final

from models.events import ScanState as S
from sandbox.chaos.history import History
from sandbox.chaos.rules.results import registered
from sandbox.chaos.rules.violation import Violation

ENOUGH: Final = 0.6
"""Share of the jobs that must be COMPLETED: a processor that refuses everything loses nothing."""


def recovered(history: History) -> Iterator[Violation]:
    """Compare what workers answer from tables that were made anew with what the events told."""
    told: dict[str, set[str]] = {}
    for record, sha256 in registered(history):
        told.setdefault(record, set()).add(sha256)
    keys = {record: key for key, record in history.record_of.items()}
    for record in history.questions:
        request = keys[record][1]
        answer = history.answers.get(record)
        about = (request, record)
        if answer is None:
            sentence = f"nobody answered when record {record} was asked for"
            yield Violation(rule="tables", sentence=sentence, about=about)
            continue
        scan = answer.get("scan") or {}
        state = history.changes[keys[record]][-1].state
        if scan.get("state") != state:
            sentence = f"the table says {scan.get('state')}, the events say {state}"
            yield Violation(rule="tables", sentence=sentence, about=about)
        files = {str(file["sha256"]) for file in scan.get("files") or ()}
        if files != told.get(record, set()):
            sentence = f"the table has {len(files)} files, the events {len(told.get(record, ()))}"
            yield Violation(rule="tables", sentence=sentence, about=about)


def progressed(history: History) -> Iterator[Violation]:
    """Enough jobs are COMPLETED."""
    done = sum(
        changes[-1].state == S.COMPLETED
        for key, changes in history.changes.items()
        if key in history.jobs
    )
    if done < ENOUGH * len(history.jobs) or not history.jobs:
        sentence = f"only {done} of {len(history.jobs)} jobs were completed"
        yield Violation(rule="progress", sentence=sentence)
