"""The producer's partitioner: keys go where all others put them."""

from streams.topics import Partitioner, partition_of


def test_the_producer_s_partitioner_agrees_with_ours_and_takes_any_for_no_key() -> None:
    partitioner, places = Partitioner(), [0, 1, 2, 3, 4]
    for key in [b"", b"mri-1", b"k" * 256, b"k" * 257, bytes(range(200))]:
        assert partitioner(key, places, places) == partition_of(key, 5)
    assert partitioner(None, places, [3]) == 3
