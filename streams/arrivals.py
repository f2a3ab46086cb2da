"""A Faust stream's events, without what its own iteration does for each of them besides.

Faust makes a turn of the loop, a context variable, three notes for sensors and an attempt to acknowledge
for each message; what it does that counts is done here in the same order (faust-streaming 0.15.3,
`_cython/streams.pyx`): messages of an assignment that is gone are left, others are tracked, so that they
are waited for at a stop and acknowledged by hand.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import faust
from faust.events import Event

TURN_EVERY: Final = 32
"""So many messages are taken before others may run."""


async def arrivals(stream: Any) -> AsyncIterator[Any]:
    """Give the events of a stream of a channel, until it is cancelled or stops."""
    app, queue = stream.app, stream.channel.queue
    await stream.maybe_start()
    taken = 0
    while not stream.should_stop:
        try:
            event = await queue.get() if queue.empty() else queue.get_nowait()
        except StopAsyncIteration:  # how Faust tells a stream that waits to stop
            return
        taken += 1
        if taken % TURN_EVERY == 0:
            await asyncio.sleep(0)
        message = event.message
        flows = app.flow_control.is_active()
        if not flows or message.generation_id != app.consumer_generation_id:
            continue
        if not message.tracked and message.topic in app.topics.acking_topics:
            message.tracked = True
            app.consumer.unacked.add(message)
        yield event


class Raw(faust.Schema[Any, Any]):
    """Takes keys and values as they are: they are read in the agents, and errors are settled there.

    Faust's own looks up a codec and a setting for each key and each value, to give the same bytes.
    """

    def compile(self, app: Any, **_: Any) -> Any:
        """Give what makes an event of a message."""

        async def decode(message: Any, *, propagate: bool = False) -> Event:
            del propagate
            return Event(app, message.key, message.value, message.headers, message)

        return decode
