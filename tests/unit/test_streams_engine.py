"""What stands in place of parts of Faust and aiokafka."""

from faust.types import TP

from streams.engine import Silent
from streams.topics import Partitioner, partition_of


def test_the_sensor_notes_nothing() -> None:
    sensor = Silent()
    sensor.on_stream_event_in(TP("t", 0), 1, None, None)
    sensor.on_stream_event_out(TP("t", 0), 1, None, None)
    sensor.on_message_in(TP("t", 0), 1, None)


def test_the_producer_s_partitioner_agrees_with_ours_and_takes_any_for_no_key() -> None:
    partitioner, places = Partitioner(), [0, 1, 2, 3, 4]
    for key in [b"", b"mri-1", b"k" * 256, b"k" * 257, bytes(range(200))]:
        assert partitioner(key, places, places) == partition_of(key, 5)
    assert partitioner(None, places, [3]) == 3
