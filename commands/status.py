"""`status`: asks the worker how far a record's scan is."""

from collections.abc import Sequence
from typing import Any

import click
from faust.cli import argument, option

from commands.answers import CODES
from commands.ask import ask_state
from commands.base import CommandError, Context, Exit, PlainCommand, timeout_option
from commands.show import at_terminal, human_size, moment, plain_pairs, show_table
from models.base import canonical
from models.results import AnswerMetadata, FileFacts, ScanFacts

FILE_HEAD = ("file", "size", "sha256", "SOP Instance UID")


def add_status(app: Any, context: Context) -> None:
    """Add the command."""

    async def status(_: PlainCommand, record: str, json: bool, limit_s: float) -> Exit:
        """Show how far RECORD's scan is, and its files."""
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
        record_argument(),
        option("--json", is_flag=True, help="Print the answer as it came, in JSON."),
        timeout_option("Seconds for the answer."),
        base=PlainCommand,
    )(status)


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
