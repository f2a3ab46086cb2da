"""A worker that only consumes: `faust -A bench.floor_app worker`, started by `bench.floor`.

The app is made by faust_app.make_app, so its settings, loop, collector and consumer are the
processor's own; it has one topic, one window as agents/runtime.py makes it, a handler that does
nothing, and no tables. When as many messages as its environment tells are handled, it prints its
processor time since the first of them, as a line of JSON. What was fetched before the first was handled
(500 messages at most, and the bytes of more) is not in it: one or two per cent of 20,000.
"""

import json
import os
import sys
import time
from collections.abc import Awaitable
from typing import Any

import faust_app
from agents.runtime import fatal
from bench.floor_consume import MESSAGES
from models import wire
from streams.inbound import Inbound
from streams.window import Window

# As any app that the `faust` command runs, it is made when the module is imported.
app = faust_app.make_app(faust_app.settings, faust_app.topics, faust_app.clock)


class Counting:
    """Counts messages; tells the processor time from the first of them to the last."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._handled = 0
        self._began = 0.0

    async def settle(self, event: Any) -> Awaitable[Any] | None:
        """Take a message for settled."""
        Inbound.of(event, wire.SCAN_STATUS)
        self._handled += 1
        if self._handled == 1:
            self._began = time.process_time()
        elif self._handled == self._last:
            # User and system time of all threads: what /proc tells, without its ticks of 10 ms.
            told = {"counted": self._last - 1, "cpu_s": time.process_time() - self._began}
            out: Any = sys.__stdout__  # Faust turns what is printed into log lines
            out.write(json.dumps(told) + "\n")
            out.flush()
        return None


window = Window(
    Counting(int(os.environ[MESSAGES])).settle,
    in_flight=faust_app.settings.in_flight,
    generation=lambda: app.consumer_generation_id,
    fatal=fatal,
    whole=lambda message: app.offsets.take(message.tp, message.offset),
)
app.windows.append(window)
window.topics = frozenset({faust_app.topics[wire.SCAN_STATUS]})


@app.agent(
    app.topic(
        faust_app.topics[wire.SCAN_STATUS],
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=faust_app.topics.partitions,
    )
)
async def consume(stream: Any) -> None:
    """Run the window, as agents/runtime.py does."""
    window.queued = stream.channel.queue.qsize
    await window.run(stream.noack().events(), stream.ack)
