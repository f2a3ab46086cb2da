"""How `dead-letters` is typed: a group of commands that share their filters."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final

import click
from faust.cli import argument, option

from commands.base import Context, PlainCommand
from commands.dead_letters_known import Filter, read_moment
from models.wire import Cause
from streams.topics import ALL, Topics

_ID: Final = re.compile(r"(0|[1-9]\d{0,8})-(0|[1-9]\d{0,17})", re.ASCII)

Place = tuple[int, int]
"""Partition and offset of a letter."""


class GroupedCommand(PlainCommand):
    """A command of a group: Faust itself knows commands of one word only."""

    abstract = True
    group: click.Group

    @classmethod
    def as_click_command(cls) -> Callable[..., Any]:
        """Add it to its group."""

        @click.pass_context
        @wraps(cls)
        def run(*args: Any, **kwargs: Any) -> None:
            cls(*args, **kwargs)()

        for add in reversed(cls.options or []):  # so that help shows them in this order
            run = add(run)
        return cls.group.command(cls.__name__.strip("_"), help=cls.__doc__)(run)


def ids_argument(*, required: bool) -> Any:
    """Make the IDs of a command: PARTITION-OFFSET, as `list` shows them."""
    return argument("ids", nargs=-1 if not required else 1, metavar="ID", callback=_places)


def _places(_: Any, __: Any, value: Any) -> list[Place]:
    places = set()
    for text in (value,) if isinstance(value, str) else value:
        if not (found := _ID.fullmatch(text)):
            raise click.BadParameter("an id is PARTITION-OFFSET, as `dead-letters list` shows it")
        places.add((int(found[1]), int(found[2])))
    # In the order in which they were written: that of their key.
    return sorted(places)


def filter_options() -> tuple[Any, ...]:
    """Make the options that say which letters are meant."""
    return (
        option("--topic", help="Of messages that came from this topic."),
        option(
            "--cause", type=click.Choice([str(cause) for cause in Cause]), help="Of this cause."
        ),
        option("--since", metavar="TIME", help="Failed since: 90s, 30m, 2h, 7d ago, or RFC 3339."),
        option("--until", metavar="TIME", help="Failed until then."),
        option("--all", "settled", is_flag=True, help="Those too that were replayed or discarded."),
    )


def make_filter(
    context: Context,
    *,
    topic: str | None,
    cause: str | None,
    since: str | None,
    until: str | None,
    settled: bool,
) -> Filter:
    """Make the filter that was typed. Raises click.UsageError."""
    return Filter(
        topic=None if topic is None else logical_name(topic, context.topics),
        cause=cause,
        since=_moment("--since", since),
        until=_moment("--until", until),
        settled=settled,
    )


def logical_name(name: str, topics: Topics) -> str:
    """Give a topic's logical name, from that or its real one. Raises click.UsageError."""
    if name in ALL:
        return name
    for logical in ALL:
        if topics[logical] == name:
            return logical
    raise click.UsageError("--topic: there is no such topic; `faust -A faust_app topics` shows all")


def _moment(name: str, text: str | None) -> datetime | None:
    try:
        return None if text is None else read_moment(text, datetime.now(UTC))
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"{name}: a time ago as 90s, 30m, 2h or 7d, or RFC 3339 as 2026-01-31T08:00:00Z"
        ) from None
