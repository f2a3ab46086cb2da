"""Run a broker by hand: `python -m sandbox.kafka [--port 9092] [--folder FOLDER]`."""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from sandbox.kafka import EmbeddedKafka, KafkaFailedError, KafkaUnavailableError
from sandbox.kafka.jars import class_path
from sandbox.kafka.storage import formatted_folder
from sandbox.processes import sigterm_exits


def main() -> None:
    """Start the broker, print its address, and keep it until Ctrl-C or SIGTERM."""
    options = _parser().parse_args()
    try:
        if options.prepare:
            formatted_folder(class_path())
        else:
            _run(options.folder, options.port)
    except (KafkaUnavailableError, KafkaFailedError) as error:
        sys.exit(f"kafka: {error}")
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)


def _run(folder: Path | None, port: int | None) -> None:
    with ExitStack() as stack:
        stack.enter_context(sigterm_exits())
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="scanhub-kafka-")
            folder = Path(stack.enter_context(temporary))
        kafka = stack.enter_context(EmbeddedKafka(folder, port=port))
        print(kafka.bootstrap, flush=True)
        print(f"log: {kafka.log_file}; Ctrl-C stops the broker", file=sys.stderr, flush=True)
        code = kafka.wait()
        sys.exit(f"kafka: the broker ended by itself with {code}:\n{kafka.tail()}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.kafka", description=__doc__)
    parser.add_argument("--port", type=int, help="the port on 127.0.0.1 (default: a free one)")
    parser.add_argument(
        "--folder", type=Path, help="where data and log stay (default: a temporary folder)"
    )
    parser.add_argument(
        "--prepare", action="store_true", help="only fetch what a first start needs, then end"
    )
    return parser


if __name__ == "__main__":
    main()
