"""Changelogs that rest once they are recovered: only ours, and only in the generation that asked."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.structs import TopicPartition
from faust.types import TP

from streams.engine import App
from streams.thread import ConsumerThread

OURS = TP("requests-changelog", 1)
GONE = TP("requests-changelog", 2)
INPUT = TP("scan-jobs", 1)


class Thread(ConsumerThread):
    """A consumer's thread without a thread and a broker; its group's generation is 7."""

    def __init__(self) -> None:
        self.paused: list[TopicPartition] = []

    async def call_thread(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        return await fun(*args, **kwargs)

    def _ensure_consumer(self) -> Any:
        return SimpleNamespace(
            _coordinator=SimpleNamespace(generation=7),
            assignment=lambda: {TopicPartition(*OURS), TopicPartition(*INPUT)},
            pause=lambda *places: self.paused.extend(places),
        )


@pytest.mark.parametrize(("generation", "rests"), [(7, [OURS]), (6, [])])
async def test_only_what_is_ours_rests_and_only_in_its_own_generation(
    generation: int, rests: list[TP]
) -> None:
    thread = Thread()
    await thread.rest([OURS, GONE], generation)
    assert thread.paused == [TopicPartition(*place) for place in rests]
    assert all(type(place) is TopicPartition for place in thread.paused), "aiokafka takes no other"


async def test_inputs_and_the_changelogs_of_standbys_do_not_rest() -> None:
    asked = []

    async def rest(places: list[TP], generation: int) -> None:
        asked.append((places, generation))

    app = SimpleNamespace(
        tables=SimpleNamespace(changelog_topics={OURS.topic}),
        consumer=SimpleNamespace(rest=rest),
        assignor=SimpleNamespace(assigned_actives=lambda: {OURS, INPUT}),
        consumer_generation_id=7,
    )
    await App.rest_changelogs(cast("App", app))
    assert asked == [([OURS], 7)]


@pytest.mark.parametrize(("working", "sending", "busy"), [(9, 8, True), (9, 6, False)])
def test_what_waits_for_the_broker_counts_as_work(
    *, working: int, sending: int, busy: bool
) -> None:
    window = SimpleNamespace(working=working, sending=sending)
    prop = cast("property", App.__dict__["busy"])
    assert prop.__get__(SimpleNamespace(windows=[window])) is busy
