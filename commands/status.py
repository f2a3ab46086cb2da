"""`status`: asks the worker how far a record's scan is."""

from collections.abc import Sequence
from json import dumps
from typing import Any

import click
from faust.cli import argument, option

from commands.answers import CODES
from commands.ask import ask_state
from commands.base import CommandError, Context, Exit, PlainCommand, timeout_option
from commands.kafka import connect
from commands.queue import Place, job_facts, place_of, when
from commands.show import at_terminal, human_size, moment, plain_pairs, show_table
from commands.targets import Typed, jobs_in
from commands.work import read_work, record_of
from models.base import canonical
from models.results import AnswerMetadata, FileFacts, ScanFacts

FILE_HEAD = ("file", "size", "sha256", "SOP Instance UID")


def add_status(app: Any, context: Context) -> None:
    """Add the command."""

    async def status(_: PlainCommand, scan: str, request: bool, json: bool, limit_s: float) -> Exit:
        """Show how far a scan is, and its files.

        Of a RECORD, or of a REQUEST that waits or runs.
        """
        async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
            work = await read_work(kafka, context)
        queued = [place_of(work, *found) for found in jobs_in(work, named(scan, request=request))]
        record = _record_of(scan, queued, request=request)
        if record is None:
            for place in queued:
                show_job(place, json=json)
            return Exit.GOOD
        answer = await ask_state(context, record, limit_s)
        if answer is None:
            raise CommandError(f"no answer within {limit_s:g} s (does a worker run?)", Exit.TIMEOUT)
        code = CODES.get(answer.status, Exit.GOOD)
        if json:
            print(answer.to_bytes().decode())
        elif answer.scan is None:
            raise CommandError(answer.reason or f"the answer is {answer.status}", code)
        else:
            _show(record, answer, answer.scan, queued)
        return code

    app.command(
        argument("scan", metavar="RECORD|REQUEST"),
        option("--request", is_flag=True, help="It is a request, whatever it looks like."),
        option("--json", is_flag=True, help="Print the answer as it came, in JSON."),
        timeout_option("Seconds for the answer."),
        base=PlainCommand,
    )(status)


def named(scan: str, *, request: bool) -> Typed:
    """Take what was typed: a number is a record's, unless it is said to be a request's."""
    if request:
        return Typed(request=scan)
    return Typed(record=scan) if scan.isdigit() and record_of(scan) else Typed(what=scan)


def _record_of(scan: str, queued: Sequence[Place], *, request: bool) -> str | None:
    """Give the record that is meant; None for a job that waits and has none yet.

    Raises CommandError for what is neither a record's id nor a request that waits or runs.
    """
    if len(queued) == 1 and queued[0].entry.record is not None:
        return queued[0].entry.record
    if queued:
        return None
    if request or (record := record_of(scan)) is None:
        raise CommandError(
            "no such request waits or runs, and it is no record's id (a request that has ended is"
            " asked for by its record: `submit --wait` and the events name it)",
            Exit.MISSING,
        )
    return record


def show_job(place: Place, *, json: bool) -> None:
    """Show a job by what its device's queue knows of it."""
    row = place.entry.row
    if json:
        print(dumps({"device_id": place.device, **job_facts(place.entry)}))
        return
    facts = [
        ("request", row.request_id),
        ("record", place.entry.record or ""),
        ("state", str(row.state or "")),
        ("device", place.device),
        ("queue", place.where),
        ("cause", row.reason),
        ("since", "" if row.since_ms is None else moment(when(row.since_ms))),
    ]
    for line in plain_pairs([pair for pair in facts if pair[1]]):
        print(line)


def record_argument() -> Any:
    """Make the RECORD of a command: an integer or a UUID."""
    return argument("record", callback=_check_record)


def _check_record(_: Any, __: Any, value: str) -> str:
    try:
        return canonical(value)
    except ValueError:
        raise click.BadParameter("a record's id is an integer or a UUID") from None


def _show(
    record: str, answer: AnswerMetadata, scan: ScanFacts, queued: Sequence[Place] = ()
) -> None:
    facts = [*fact_rows(record, answer, scan), *(("queue", place.where) for place in queued)]
    files = [file_row(file) for file in scan.files]
    if at_terminal():
        show_table(facts)
        if files:
            show_table(files, FILE_HEAD)
        return
    for line in plain_pairs([*facts, *(("file", "  ".join(row)) for row in files)]):
        print(line)


def fact_rows(record: str, answer: AnswerMetadata, scan: ScanFacts) -> Sequence[tuple[str, str]]:
    """Give what is known of a scan, named; what is not known is left out."""
    rows = [
        ("record", record),
        ("state", str(scan.state)),
        ("percent", "" if scan.percent is None else f"{scan.percent} %"),
        ("device", scan.device_id or ""),
        ("job", "" if scan.job_id is None else str(scan.job_id)),
        ("request", scan.request_id or ""),
        ("cause", scan.cause or answer.reason or ""),
        ("advice", scan.advice or ""),
    ]
    times = sorted(scan.times.items(), key=lambda item: item[1])
    rows += [(name.lower(), moment(when)) for name, when in times]
    return [row for row in rows if row[1]]


def file_row(file: FileFacts) -> tuple[str, str, str, str]:
    """Give a file's row."""
    return (file.name, human_size(file.size), file.sha256, file.sop_instance_uid or "-")
