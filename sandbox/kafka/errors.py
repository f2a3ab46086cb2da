"""Two ways in which an embedded broker says no."""


class KafkaUnavailableError(RuntimeError):
    """A broker can't run on this machine, for the reason given: no Java, no jars, no Unix."""


class KafkaFailedError(RuntimeError):
    """A broker could run here and did not. Holds the end of its log."""
