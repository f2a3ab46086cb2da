"""Faust's consumer, made to keep the promises: commits, stops, heartbeats.

Private methods of faust-streaming 0.15.3 and aiokafka 0.14.0 are overridden; pyproject.toml pins both.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, cast

from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from streams.caughtup import End
from streams.eager import Rest, begin
from streams.guard import stop_now
from streams.lost import Advice, Lost
from streams.offsets import Offsets
from streams.thread import ConsumerThread

LOOK_S = 1.0
"""How often it is looked for messages that were fetched and got lost inside of Faust."""
YIELD_EVERY = 100
"""So many messages are given out before others may run: a fetch may hold thousands."""
CROWDED_S = 0.02
"""How long to wait before it is looked again whether a crowded partition has room."""

log = logging.getLogger(__name__)


class Consumer(driver.Consumer):
    """Bounded waiting at a stop, commits that pass nothing unsettled, no topic made behind our back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.offsets = Offsets()
        self._lost = Lost()
        self._settled: dict[TP, int] = {}
        self._rounds = 0
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def ends(self, places: list[TP]) -> dict[TP, End]:
        """Give where some places end, as the broker has it now, and how far they were fetched."""
        thread = cast("ConsumerThread", self._thread)
        return await thread.ends(places)

    async def rest(self, places: list[TP], generation: int) -> None:
        """Fetch nothing more of some places in this generation of the group."""
        await cast("ConsumerThread", self._thread).rest(places, generation)

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Make nothing: streams/provision.py made every topic, with its settings."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Say nothing of partitions that stand still.

        Faust goes by the notes of its Monitor, which nobody keeps here (streams/engine.py), and after
        five minutes would call each one with a backlog idle. What got lost is noticed by
        `_look_for_lost`, what hangs by the guard and the limits of each attempt.
        """

    def highwater(self, tp: TP) -> int:
        """Give nothing: Faust asks for each message, for notes that nobody keeps."""
        del tp
        return 0

    def ack(self, message: Any) -> bool:
        """Acknowledge a message that a stream gave out.

        Faust also acknowledges what it drops at a rebalance (never tracked, delivered again): were
        that committed, a crash before the second delivery is done would lose it.
        """
        return bool(message.tracked and super().ack(message))

    async def wait_empty(self) -> None:
        """Let attempts in flight finish, then commit. Faust's own wait has no limit.

        Clearing what is un-acknowledged is safe, as commits pass nothing that is not settled.
        """
        app: Any = self.app
        await app.drain()
        self.offsets.restart()
        self._unacked_messages.clear()
        await self.commit_and_end_transactions()

    # What was fetched, and from where: see streams/offsets.py.

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109
        app: Any = self.app
        crowded = set().union(*(window.crowded for window in app.windows))
        wanted = active_partitions - crowded if crowded and active_partitions else active_partitions
        if crowded:
            timeout = min(timeout, CROWDED_S)
            if not wanted:  # for aiokafka, no partitions means all
                await asyncio.sleep(timeout)
                return {}
        records: Any = await super()._getmany(wanted, timeout)
        for place, messages in (records or {}).items():
            start = records.start[place]
            self.offsets.fetched(place, (message.offset for message in messages), start=start)
        return records

    async def _drain_messages(self, fetcher: Any) -> None:
        """Give what is fetched to the streams, until the fetcher stops.

        Faust's own makes four tasks for each message, to be able to let go of one that waits for room
        in a queue; here only one that does wait has any. And what was not given out does not count as
        read: it is not taken for a repeat when it comes again.
        """
        try:
            while not (self.should_stop or fetcher._stopped.is_set()):  # noqa: SLF001 - as Faust's
                await asyncio.sleep(0)
                await self._give_out()
                self._rounds += 1
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    async def _give_out(self) -> None:
        deliver = cast("Callable[[Any], Coroutine[Any, Any, None]]", self.callback)
        read, given = self._read_offset, 0
        async for place, message in self.getmany(timeout=1.0):
            given += 1
            if given % YIELD_EVERY == 0:
                await asyncio.sleep(0)
            before, taken = read[place], self.offsets.next(place)
            # A repeat only if its stream has taken it: what was read out of order after a seek has not
            # been (streams/window.py leaves it), and comes here in its order later.
            if before is not None and taken is not None and message.offset < min(before, taken):
                continue
            _, waits = begin(deliver(message))
            if waits is not None and not await self._delivered(waits):
                continue
            read[place] = message.offset

    async def _delivered(self, waits: Rest[None]) -> bool:
        """Wait for a delivery; tell whether it was made before the flow was stopped."""
        waiting: Any = waits
        return waiting in (await self.wait_first(waiting, self.suspend_flow.wait())).done

    async def _seek(self, partition: TP, offset: int) -> None:
        self.offsets.sought(partition, offset)
        await super()._seek(partition, offset)

    async def seek_wait(self, partitions: Any) -> None:
        """Seek, and note where reading goes on."""
        await super().seek_wait(partitions)
        # Afterwards: a fetch that came back meanwhile had read from where it was before.
        for place, offset in partitions.items():
            self.offsets.sought(place, offset)

    async def seek_to_committed(self) -> Any:
        """Seek, and note where reading goes on.

        What was fetched at the end of a recovery is dropped by Faust. Of a place of which nothing was
        committed yet it would never come again, as aiokafka leaves that where it is.
        """
        committed = await super().seek_to_committed()
        back: dict[TP, int] = {}
        for place, offset in committed.items():
            first = self.offsets.first(place)
            if offset is not None and offset >= 0:
                self.offsets.sought(place, offset)
            elif first is not None:
                back[place] = first
        if back:
            await self.seek_wait(back)
        return committed

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let partitions go; what was fetched of them is forgotten once all is settled."""
        await super().on_partitions_revoked(revoked)
        for place in revoked:
            self.offsets.forget(place)
            self._settled.pop(place, None)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Mark nothing: Faust takes for empty what it dropped itself."""

    def _new_offset(self, tp: TP) -> int | None:
        """Give the offset to commit: up to the first message that is not settled, and no further."""
        if not self._acked[tp]:
            return None
        base = self._committed_offset[tp]
        if base is None:
            base = self.offsets.first(tp)
        if base is None:
            return None
        done: set[int] = self._acked_index[tp]
        offset = self._settled[tp] = self.offsets.settled(tp, base, done)
        done.difference_update([one for one in done if one < offset])
        self._acked[tp][:] = sorted(done)
        return offset if offset > base else None

    @Service.task
    async def _look_for_lost(self) -> None:
        """Read again what was fetched and is nowhere (streams/lost.py)."""
        app: Any = self.app
        while not self.should_stop:
            await self.sleep(LOOK_S)
            if not app.owned or app.rebalancing:
                self._lost.clear()
                continue
            held = {(message.tp, message.offset) for message in self._unacked_messages}
            for place in list(self.assignment()):
                if app.topics.acks_enabled_for(place.topic):
                    await self._look_at(place, held)

    async def _look_at(self, place: TP, held: set[tuple[TP, int]]) -> None:
        last, committed = self.offsets.last(place), self._committed_offset[place]
        known = committed is not None and committed >= 0
        # What is settled is on its way to the broker: under load a commit takes seconds.
        base = self._settled.get(place, committed if known else self.offsets.first(place))
        if last is None or base is None:
            return
        # Of the first one only: those behind it were left by the window, and are held for ever.
        base = self.offsets.after(place, base)
        done = base in self._acked_index[place]
        # In its stream's queue nobody sees it; a later one that came before it shows that it is lost.
        app: Any = self.app
        gone = place in self.offsets.broken or not app.queued(place.topic)
        stands = gone and last >= base and (place, base) not in held and not done
        advice = self._lost.look(place, base, stands=stands, rounds=self._rounds, now=monotonic())
        told = f"{place.topic}-{place.partition}, offset {base}"
        if advice is Advice.READ_AGAIN:
            log.warning("fetched and never handled, so it is read again: %s", told)
            self.offsets.broken.discard(place)
            for message in [one for one in self._unacked_messages if one.tp == place]:
                self._unacked_messages.discard(message)  # left, and comes again as another object
            try:
                first = await cast("ConsumerThread", self._thread).begins(place)
                if first > base:  # it became too old at the broker, and is gone there
                    self.offsets.skipped(place, base, first)
                await self.seek_wait({place: max(base, first)})
            except (KafkaError, TimeoutError) as error:
                # The assignment changes under us, or the broker is away: the next look sees.
                log.warning("it could not be read again (%s)", type(error).__name__)
        elif advice is Advice.STOP:
            stop_now(f"fetched and never handled, again and again: {told}; it comes again")
