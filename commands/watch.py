"""`watch`: everything that is going on, live; over Kafka only, no worker is asked."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import click
from faust.cli import option
from rich.live import Live

from commands.base import Context, Exit, PlainCommand
from commands.dead_letters_known import read_moment
from commands.kafka import FAULTS, Kafka, Message, connect, no_broker
from commands.screen import Screen
from commands.show import at_terminal
from commands.watching import Watched
from commands.work import WORK, know_work
from models import wire

LIMIT_S: Final = 30.0
"""How long the broker may take for any one thing."""
REDRAW_S: Final = 0.25
MOST_SHARE: Final = 0.2
"""Of the time, for drawing: with a thousand devices it is drawn less often."""
LOOK_S: Final = 5.0
"""So often it is asked whether the broker is there, and so long may its answer take."""


def add_watch(app: Any, context: Context) -> None:
    """Add the command."""

    async def watch(_: PlainCommand, device: str | None, since: str, limit_s: float) -> Exit:
        """Show everything that is going on, live.

        Devices, scans, what waits and why, outages and dead letters, until Ctrl-C.
        Without a terminal: one line for each event.
        """
        try:
            began = read_moment(since, datetime.now(UTC))
        except (ValueError, OverflowError):
            raise click.BadParameter(
                "--since is 90s, 30m, 2h, 7d, or RFC 3339 with a zone"
            ) from None
        watched = Watched(device=device)
        until = time.monotonic() + limit_s if limit_s else float("inf")
        try:
            async with connect(context.settings.kafka, context.topics, LIMIT_S) as kafka:
                know_work(kafka, context)
                await begin(kafka, began)
                async with _looking(kafka, watched):
                    await (_draw if at_terminal() else _tell)(kafka, watched, until)
        except (asyncio.CancelledError, KeyboardInterrupt):
            return Exit.GOOD
        return Exit.GOOD

    app.command(
        option("--device", "device", default=None, help="Only this one."),
        option(
            "--since",
            metavar="TIME",
            default="1h",
            show_default=True,
            help="What happened since is read first: 90s, 30m, 2h, 7d ago, or RFC 3339.",
        ),
        option(
            "--for",
            "limit_s",
            type=float,
            default=0.0,
            metavar="SECONDS",
            help="End after so long; 0 = never.",
        ),
        base=PlainCommand,
    )(watch)


async def begin(kafka: Kafka, since: datetime) -> None:
    """Take the positions: of what happened, some time back; of the queues, the beginning."""
    consumer = kafka.consumer
    told = [*await kafka.places(wire.SCAN_EVENTS), *await kafka.places(wire.DEAD_LETTERS)]
    queues = await kafka.places(WORK)
    since_ms = int(since.timestamp() * 1000)
    try:
        async with asyncio.timeout(kafka.limit_s):
            found = await consumer.offsets_for_times(dict.fromkeys(told, since_ms))
            ends = await consumer.end_offsets(told)
            begins = await consumer.beginning_offsets(queues)
            consumer.assign([*told, *queues])
            for place in told:
                at = found.get(place)
                consumer.seek(place, ends[place] if at is None else at.offset)
            for place, offset in begins.items():
                consumer.seek(place, offset)
    except FAULTS as error:
        raise no_broker(kafka.bootstrap, error) from None


def take(watched: Watched, message: Message) -> str | None:
    """Take what came; gives the line that tells it, if there is one."""
    if message.topic == WORK:
        watched.work.take(message.key.encode(), message.value or None)
        return None
    if message.topic == wire.DEAD_LETTERS:
        return watched.take_letter(message.key, message.headers)
    return watched.take_event(message.value)


@asynccontextmanager
async def _looking(kafka: Kafka, watched: Watched) -> AsyncIterator[None]:
    """Note when the broker is lost: reading from it would just give nothing, for ever."""
    looking = asyncio.create_task(_look(kafka, watched))
    try:
        yield
    finally:
        looking.cancel()


async def _look(kafka: Kafka, watched: Watched) -> None:
    places = await kafka.places(wire.SCAN_EVENTS, 0)
    while True:
        try:
            async with asyncio.timeout(LOOK_S):
                await kafka.consumer.end_offsets(places)
        except FAULTS:
            watched.broker_lost = watched.broker_lost or datetime.now(UTC)
        else:
            watched.broker_lost = None
        await asyncio.sleep(LOOK_S)


async def _tell(kafka: Kafka, watched: Watched, until: float) -> None:
    lost = False
    while (left := until - time.monotonic()) > 0:
        for message in await kafka.take(min(left, 1.0)):
            line = take(watched, message)
            if line is not None:
                print(line, flush=True)
        if lost is not (watched.broker_lost is not None):
            lost = not lost
            said = "the broker does not answer" if lost else "the broker answers again"
            print(f"{datetime.now(UTC):%H:%M:%S}  {said}", flush=True)


async def _draw(kafka: Kafka, watched: Watched, until: float) -> None:
    next_at = 0.0
    with Live(Screen(watched, datetime.now(UTC)), auto_refresh=False, screen=True) as live:
        while (left := until - time.monotonic()) > 0:
            for message in await kafka.take(min(left, REDRAW_S)):
                take(watched, message)
            began = time.monotonic()
            if began >= next_at:
                live.update(Screen(watched, datetime.now(UTC)), refresh=True)
                took = time.monotonic() - began
                next_at = began + max(REDRAW_S, took / MOST_SHARE)
