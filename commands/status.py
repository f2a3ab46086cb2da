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
from commands.queue import job_facts, when
from commands.show import at_terminal, human_size, moment, plain_pairs, show_table
from commands.work import Entry, read_work
from models.base import canonical
from models.results import AnswerMetadata, FileFacts, ScanFacts

FILE_HEAD = ("file", "size", "sha256", "SOP Instance UID")


def add_status(app: Any, context: Context) -> None:
    """Add the command."""

    async def status(_: PlainCommand, scan: str, json: bool, limit_s: float) -> Exit:
        """Show how far a scan is, and its files.

        Of a RECORD, or of a REQUEST that waits or runs.
        """
        async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
            queued = (await read_work(kafka, context)).find(scan)
        record = _record_of(scan, queued)
        if record is None:
            for device, entry in queued:
                show_job(device, entry, json=json)
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
            _show(record, answer, answer.scan)
        return code

    app.command(
        argument("scan", metavar="RECORD|REQUEST"),
        option("--json", is_flag=True, help="Print the answer as it came, in JSON."),
        timeout_option("Seconds for the answer."),
        base=PlainCommand,
    )(status)


def _record_of(scan: str, queued: Sequence[tuple[str, Entry]]) -> str | None:
    """Give the record that is meant; None for a job that waits and has none yet.

    Raises CommandError for what is neither a record's id nor a request that waits or runs.
    """
    for _, entry in queued:
        if entry.row.record_id is not None:
            return canonical(entry.row.record_id)
    if queued:
        return None
    try:
        return canonical(scan)
    except ValueError:
        raise CommandError(
            "no such request waits or runs, and it is no record's id (a request that has ended is"
            " asked for by its record: `submit --wait` and the events name it)",
            Exit.MISSING,
        ) from None


def show_job(device: str, entry: Entry, *, json: bool) -> None:
    """Show a job that has no record yet."""
    if json:
        print(dumps({"device_id": device, **job_facts(entry)}))
        return
    row = entry.row
    facts = [
        ("request", row.request_id),
        ("state", str(row.state or "")),
        ("device", device),
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


def _show(record: str, answer: AnswerMetadata, scan: ScanFacts) -> None:
    facts = fact_rows(record, answer, scan)
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
