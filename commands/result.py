"""`result`: fetches a record's image or raw data through Kafka and checks every byte of it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from faust.cli import option
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from commands.answers import Assembly
from commands.ask import ask
from commands.base import CommandError, Context, Exit, PlainCommand, timeout_option
from commands.kafka import Message, connect
from commands.partial import Partial
from commands.show import at_terminal, human_size
from commands.status import record_argument
from models.results import ResultRequest, What


def add_result(app: Any, context: Context) -> None:
    """Add the command."""

    async def result(
        _: PlainCommand,
        record: str,
        output: str,
        what: str,
        sop_instance_uid: str | None,
        limit_s: float,
    ) -> Exit:
        """Fetch RECORD's image or raw data."""
        request = ResultRequest(
            request_id=str(uuid4()),
            record_id=record,
            what=What(what),
            sop_instance_uid=sop_instance_uid,
        )
        target = Path(output)
        with Partial(target) as partial:
            assembly = await fetch(context, request, partial, limit_s)
            file = assembly.file
            digest = await asyncio.to_thread(partial.sha256)
            if (partial.size(), digest) != (file.size, file.sha256):
                raise CommandError("the written file's sha256 differs", Exit.CORRUPT)
            await asyncio.to_thread(partial.keep)
        print(f"{target}: {human_size(file.size)}, {file.media_type}, sha256 {file.sha256}")
        return Exit.GOOD

    app.command(
        record_argument(),
        option("-o", "--output", metavar="FILE", required=True, help="Replaced if it exists."),
        option(
            "--what",
            type=click.Choice([What.IMAGE.value, What.RAW.value]),
            default=What.IMAGE.value,
            show_default=True,
            help="The newest image, or the raw data.",
        ),
        option("--sop-instance-uid", callback=_check_uid, help="A certain image of the record."),
        timeout_option("Seconds without a part of the file."),
        base=PlainCommand,
    )(result)


async def fetch(
    context: Context, request: ResultRequest, partial: Partial, limit_s: float
) -> Assembly:
    """Ask for a file and put it together. Raises CommandError if it does not come."""
    assembly = Assembly(partial)
    with _bar() as show:

        def hear(message: Message) -> bool:
            done = assembly.take(message.headers, message.value)
            show(assembly)
            return done

        async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
            complete = await ask(kafka, request, limit_s, hear)
    if assembly.refused is not None:
        raise assembly.refused
    if not complete:
        came = "nothing" if assembly.metadata is None else f"{assembly.received} chunks"
        raise CommandError(
            f"{came} came, then nothing for {limit_s:g} s (does a worker run?)", Exit.TIMEOUT
        )
    return assembly


@contextmanager
def _bar() -> Iterator[Callable[[Assembly], None]]:
    """Show how much came, to a terminal."""
    if not at_terminal():
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), transient=True) as progress:
        task = progress.add_task("asking", total=None)

        def show(assembly: Assembly) -> None:
            metadata = assembly.metadata
            if metadata is not None and metadata.file is not None:
                size = metadata.file.size
                done = min(assembly.received * metadata.chunk_size, size)
                progress.update(task, description="fetching", completed=done, total=size)

        yield show


def _check_uid(_: Any, __: Any, value: str | None) -> str | None:
    if value is not None and not (len(value) <= 64 and set(value) <= set("0123456789.")):  # noqa: PLR2004 - DICOM's limit
        raise click.BadParameter("at most 64 digits and dots")
    return value or None
