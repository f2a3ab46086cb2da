"""`dead-letters list|show|replay|discard`: what could not be taken, in people's hands."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import click
from faust.cli import option
from faust.cli.base import cli
from pydantic import ValidationError

from commands.base import CommandError, Context, Exit, timeout_option
from commands.dead_letters_known import Acts, Filter, Letter, act_on
from commands.dead_letters_options import (
    GroupedCommand,
    Place,
    filter_options,
    ids_argument,
    make_filter,
)
from commands.dead_letters_settling import MEANS_START, Settling, may_start, refusal
from commands.dead_letters_showing import Listing, show_letter
from commands.kafka import Kafka, connect
from commands.reading import Picker, read
from models import wire
from models.deadletters import LetterAct
from streams.parser import install

GONE = "there is no such dead letter (they are kept 7 days)"


def add_dead_letters(app: Any, context: Context) -> None:
    """Add the commands."""
    group = click.Group("dead-letters", help="List, show, replay or discard dead letters.")
    cli.add_command(group)

    async def list_(_: GroupedCommand, json: bool, most: int, limit_s: float, **typed: Any) -> Exit:
        """List the open dead letters, the newest last."""
        wanted = make_filter(context, **typed)
        listing = Listing(json=json, most=most)
        async with _connect(context, limit_s) as kafka:
            acts = await _acts(kafka)
            async for letter in _letters(kafka):
                act = act_on(letter, acts)
                if wanted.passes(letter, act):
                    listing.take(letter, act)
        listing.show()
        return Exit.GOOD

    async def show(_: GroupedCommand, ids: list[Place], value: bool, limit_s: float) -> Exit:
        """Show what is known of a dead letter, but not its value.

        With --value its bytes go to stdout as they came: they may hold patient data.
        """
        async with _connect(context, limit_s) as kafka:
            acts = await _acts(kafka)
            raw = await Picker(kafka, wire.DEAD_LETTERS).at(*ids[0])
        if raw is None:
            raise CommandError(GONE)
        show_letter(raw, act_on(Letter.of(raw), acts), value=value)
        return Exit.GOOD

    async def replay(
        _: GroupedCommand, ids: list[Place], yes: bool, start_scans: bool, by: str | None,
        limit_s: float, **typed: Any,
    ) -> Exit:  # fmt: skip
        """Send dead letters once more, as the same messages.

        Each goes to the topic that it came from. What has been done for one before is not done twice.
        Nothing is sent if one may start a scan and --start-scans is not given.
        """
        wanted = _meant(ids, make_filter(context, **typed))
        async with _connect(context, limit_s) as kafka:
            settling, letters, gone = await _choose(context, kafka, ids, wanted, by)
            able = [
                one for one in letters if refusal(one, settling.now(), settling.remember) is None
            ]
            if may_start(able) and not start_scans:
                raise click.UsageError(MEANS_START)
            _ask("replay", letters, asked=bool(ids) or yes)
            return max(gone, await settling.replay(letters))

    async def discard(
        _: GroupedCommand, ids: list[Place], yes: bool, by: str | None, limit_s: float, **typed: Any
    ) -> Exit:
        """Put dead letters aside: nothing is done for them."""
        wanted = _meant(ids, make_filter(context, **typed))
        async with _connect(context, limit_s) as kafka:
            settling, letters, gone = await _choose(context, kafka, ids, wanted, by)
            _ask("discard", letters, asked=bool(ids) or yes)
            return max(gone, await settling.discard(letters))

    timeout = timeout_option("Seconds for the broker, and for reading all letters.")
    yes = option(
        "--yes", is_flag=True, help="Do not ask whether all that the filters mean are meant."
    )
    by = option("--by", metavar="NAME", callback=_check_by, help="Who does it; kept with the act.")
    app.command(
        *filter_options(),
        option("--json", is_flag=True, help="One JSON object on each line, all of them."),
        option("--most", type=click.IntRange(1, 100_000), default=200, help="Lines at most."),
        timeout, base=GroupedCommand, group=group,
    )(list_)  # fmt: skip
    app.command(
        ids_argument(required=True),
        option("--value", is_flag=True, help="Print its value, and nothing else, to stdout."),
        timeout, base=GroupedCommand, group=group,
    )(show)  # fmt: skip
    app.command(
        ids_argument(required=False), *filter_options(), yes,
        option("--start-scans", is_flag=True, help="Scan jobs are meant: their scans may start."),
        by, timeout, base=GroupedCommand, group=group,
    )(replay)  # fmt: skip
    app.command(
        ids_argument(required=False), *filter_options(), yes, by, timeout,
        base=GroupedCommand, group=group,
    )(discard)  # fmt: skip


@asynccontextmanager
async def _connect(context: Context, limit_s: float) -> AsyncIterator[Kafka]:
    # Whoever may write to the topic: a header's name that is no text ends no command.
    install()
    async with connect(context.settings.kafka, context.topics, limit_s) as kafka:
        yield kafka


async def _letters(kafka: Kafka) -> AsyncIterator[Letter]:
    async for raw in read(kafka, wire.DEAD_LETTERS):
        yield Letter.of(raw)


async def _acts(kafka: Kafka) -> Acts:
    acts: Acts = {}
    async for raw in read(kafka, wire.DEAD_LETTER_ACTS):
        try:
            act = LetterAct.from_bytes(raw.value or b"")
        except ValidationError:
            continue  # not one of ours: a letter stays open rather than being hidden
        acts[act.letter, act.written_ms] = act
    return acts


def _meant(ids: list[Place], wanted: Filter) -> Filter:
    """See that it is said which letters are meant. Raises click.UsageError."""
    if bool(ids) is wanted.narrows:
        raise click.UsageError("name ids, or filters that say which letters are meant; not both")
    return wanted


async def _choose(
    context: Context, kafka: Kafka, ids: list[Place], wanted: Filter, by: str | None
) -> tuple[Settling, list[Letter], Exit]:
    """Find the letters that are meant; ERROR if one is not there."""
    acts, picker = await _acts(kafka), Picker(kafka, wire.DEAD_LETTERS)
    letters, gone = [], Exit.GOOD
    for partition, offset in ids:
        raw = await picker.at(partition, offset)
        if raw is None:
            print(f"{partition}-{offset}: {GONE}")
            gone = Exit.ERROR
        else:
            letters.append(Letter.of(raw))
    if not ids:
        found = [one async for one in _letters(kafka) if wanted.passes(one, act_on(one, acts))]
        letters = sorted(found, key=lambda one: (one.partition, one.offset))
    settling = Settling(
        kafka=kafka,
        picker=Picker(kafka, wire.DEAD_LETTERS),
        acts=acts,
        by=by,
        again=wanted.settled,
        remember=timedelta(days=context.settings.remember_requests_days),
    )
    return settling, letters, gone


def _ask(what: str, letters: list[Letter], *, asked: bool) -> None:
    """Let a person say that all are meant. Raises CommandError if they are not."""
    if asked or not letters:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{len(letters)} dead letters are meant: --yes says that it is so")
    try:
        sure = click.confirm(f"{what} {len(letters)} dead letters?", err=True)
    except click.Abort:
        sure = False
    if not sure:
        raise CommandError("nothing was done")


def _check_by(_: Any, __: Any, value: str | None) -> str | None:
    if value is not None and not (len(value) <= 128 and value.isprintable()):  # noqa: PLR2004 - LetterAct
        raise click.BadParameter("a name of at most 128 characters")
    return value or None
