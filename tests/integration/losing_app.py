"""The processor with a Faust that loses messages, as the real one does around a restart.

The first message of some topics is dropped between the fetcher and the streams, once each, while the
fetcher counts it as read: when it comes again it would take it for a repeat.
"""

from typing import Any, Final

from faust_app import app
from streams.consumer import Consumer

__all__ = ["app"]

LOST: Final = ("scan-jobs", "scan-status", "result-uploads")


def lose_some() -> None:
    """Wrap what the fetcher calls for each message."""
    real = Consumer.__init__

    def init(self: Consumer, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        deliver, lost = self.callback, set[str]()

        async def lose(message: Any) -> None:
            topic = message.topic.rpartition(".")[2]
            if topic in LOST and topic not in lost:
                lost.add(topic)
            else:
                await deliver(message)

        self.callback = lose

    Consumer.__init__ = init  # type: ignore[method-assign]


lose_some()
