"""An Apache Kafka broker from Python packages alone: no Docker, no Java on the machine.

`EmbeddedKafka` is the whole interface; `python -m sandbox.kafka` runs one by hand.
"""

from sandbox.kafka.broker import EmbeddedKafka
from sandbox.kafka.errors import KafkaFailedError, KafkaUnavailableError

__all__ = ["EmbeddedKafka", "KafkaFailedError", "KafkaUnavailableError"]
