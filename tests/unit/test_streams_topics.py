"""Topics: their names, their settings, and the partition of a key."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from models import wire
from streams.topics import ALL, MIB, Topics, TopicSpec, partition_of


def spec(topics: Topics, name: str) -> TopicSpec:
    return next(one for one in topics.specs() if one.name == topics[name])


@given(key=st.binary(min_size=1, max_size=64), partitions=st.integers(1, 200))
def test_a_key_has_the_partition_that_java_and_aiokafka_give_it(
    key: bytes, partitions: int
) -> None:
    every = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, every, every)


@given(st.text(min_size=1, max_size=40))
def test_a_key_has_one_partition_within_the_count(text: str) -> None:
    found = partition_of(text.encode(), 8)
    assert 0 <= found < 8
    assert found == partition_of(text.encode(), 8)


def test_every_topic_of_the_wire_is_in_the_table_once() -> None:
    ends: tuple[str, ...] = (
        "JOBS",
        "COMMANDS",
        "TASKS",
        "STATUS",
        "UPLOADS",
        "RESULTS",
        "REQUESTS",
        "COMPLETIONS",
    )
    ends += ("STEPS", "EVENTS", "RESPONSES", "CHUNKS", "DEAD_LETTERS", "LETTER_ACTS")
    told = [value for name, value in vars(wire).items() if name.endswith(ends)]
    assert sorted(told) == sorted(ALL)
    assert len(Topics().specs()) == len(ALL) == 19


def test_prefix_and_new_names_go_together() -> None:
    topics = Topics(prefix="hospital.", renamed={wire.RECO_JOBS: "mri_cartesian_reco"})
    assert topics[wire.RECO_JOBS] == "hospital.mri_cartesian_reco"
    assert topics[wire.SCAN_JOBS] == "hospital.scan-jobs"
    with pytest.raises(KeyError):
        topics["hospital.scan-jobs"]


def test_two_topics_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        Topics(renamed={wire.RECO_JOBS: wire.SCAN_JOBS})
    with pytest.raises(ValueError, match="same name"):
        Topics(renamed={wire.RECO_JOBS: "x", wire.TASK_EVENTS: "x"})


def test_renaming_what_is_no_topic_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="SCAN_JBOS"):
        Topics(renamed={"scan-jbos": "x"})


@pytest.mark.parametrize("name", ["", "with space", "a/b", "x" * 250, ".", ".."])
def test_a_name_that_kafka_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Topics(renamed={wire.RECO_JOBS: name})


def test_swapping_two_names_is_no_clash() -> None:
    swapped = Topics(renamed={wire.RECO_JOBS: wire.SCAN_JOBS, wire.SCAN_JOBS: wire.RECO_JOBS})
    assert swapped[wire.RECO_JOBS] == wire.SCAN_JOBS


def test_the_existing_reconstruction_worker_reads_one_partition() -> None:
    topics = Topics(partitions=12, reco_partitions=1)
    assert spec(topics, wire.RECO_JOBS).partitions == 1
    others = {one.partitions for one in topics.specs() if one.name != wire.RECO_JOBS}
    assert others == {12}


def test_the_settings_that_the_promises_rest_on() -> None:
    topics = Topics()
    jobs = spec(topics, wire.SCAN_JOBS).config()
    assert jobs["message.timestamp.type"] == "LogAppendTime"
    assert spec(topics, wire.DEVICE_TASKS).limit == 32 * MIB
    largest = max(one.limit for one in topics.specs() if one.name != wire.DEAD_LETTERS)
    assert spec(topics, wire.DEAD_LETTERS).limit >= largest + 65_536
    assert spec(topics, wire.RESULT_CHUNKS).config()["retention.ms"] == "3600000"
    letters, acts = (spec(topics, n) for n in (wire.DEAD_LETTERS, wire.DEAD_LETTER_ACTS))
    assert acts.retention_ms > letters.retention_ms
    assert spec(topics, wire.SCAN_STATUS).config() == {
        "max.message.bytes": "1048588",
        "retention.ms": "604800000",
    }
    assert spec(topics, wire.RESULT_CHUNKS).limit > wire.CHUNK_SIZE
