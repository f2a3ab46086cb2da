"""From where a fetch read on: the one thing that tells a hole of the broker's from what got lost.

aiokafka gives records, not the position from which it read them. Results of fetches get lost inside of
Faust (broken off, dropped while its flow is stopped), positions move on all the same, and Faust seeks
meanwhile. So the position is noted where the records are taken, in the consumer's own thread. Private
parts of aiokafka 0.14.0 are replaced; pyproject.toml pins it.
"""

from typing import Any

from aiokafka.consumer import fetcher

_NOTE = "scanhub_read"


class Result(fetcher.FetchResult):  # type: ignore[misc]  # aiokafka is not typed
    """What was fetched of one topic-partition; notes the positions between which it was read."""

    def getall(self, max_records: int | None = None) -> Any:
        """Take records; they may be none while the position moves on (a transaction's marker)."""
        if not self._assignment.active:
            return super().getall(max_records)
        state = self._assignment.state_value(self._topic_partition)
        before = state.position if state.has_valid_position else None
        records = super().getall(max_records)
        if before is not None:
            known = getattr(state, _NOTE, None)
            first = known[0] if known is not None and known[1] == before else before
            setattr(state, _NOTE, (first, state.position))
        return records


def read_from(consumer: Any, place: Any, last: int) -> int | None:
    """Give the position from which the records just taken of a place were read on; `last` is theirs.

    What lies between the last and the position now (a transaction's marker) is told with the next.
    """
    assignment = consumer._subscription.subscription.assignment  # noqa: SLF001 - no public way
    state = assignment.state_value(place) if assignment is not None else None
    known: tuple[int, int] | None = getattr(state, _NOTE, None)
    if state is None or known is None:
        return None
    setattr(state, _NOTE, (last + 1, known[1]))
    return known[0]


class Read(dict[Any, Any]):
    """Records by topic-partition, and from where each was read."""

    def __init__(self, records: Any, consumer: Any) -> None:
        super().__init__(records or {})
        self.start = {
            place: read_from(consumer, place, found[-1].offset) for place, found in self.items()
        }


def install() -> None:
    """Have the fetcher note its positions: for a worker, before its consumer is made."""
    fetcher.FetchResult = Result
