"""The floor under a job's processor time: what its parts cost, each by itself.

`python -m bench.floor`. Sends, rows, events and questions are measured in this process, on uvloop,
50 at once; what is consumed in a worker process of its own, and by a bare loop here. A part's figure
is the processor time (user and system) of its process, so waiting for the broker and the managers
costs nothing, and what those two take is not in it. Medians of the rounds; no time is ever asserted.
Takes 1.5 GB of a temporary folder.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvloop
from aiokafka.errors import KafkaError

from bench.floor_consume import by_aiokafka, by_faust, send_backlog
from bench.floor_http import http_parts
from bench.floor_kafka import kafka_parts, make_topics
from bench.floor_report import print_floor
from bench.floor_rounds import measure, row
from bench.frame import run
from bench.machine import facts
from sandbox.demo.parts import ROOT
from sandbox.demo.stopping import Interruptible
from sandbox.kafka import EmbeddedKafka
from sandbox.processes import ProcessGroup

TIMES: Final = 5000
ROUNDS: Final = 5
MESSAGES: Final = 20_000
_START_S: Final = 40.0


def main() -> int:
    """Measure, print a table, write the figures, and give the exit code."""
    given = _parser().parse_args()
    return run(
        given,
        lambda folder, signals: _measure(given, folder, signals),
        lambda result: print_floor(result, given.out),
        KafkaError,
    )


def _measure(given: argparse.Namespace, folder: Path, signals: Interruptible) -> dict[str, Any]:
    machine = facts()
    uvloop.install()  # for signals.run, which is asyncio.run that a signal ends
    with ExitStack() as stack:
        kafka = stack.enter_context(EmbeddedKafka(folder / "kafka"))
        group = stack.enter_context(ProcessGroup(given.out.parent / "logs"))
        stub = group.start("manager-stub", [sys.executable, "-m", "bench.manager_stub"], cwd=ROOT)
        address = json.loads(stub.wait_for_line("{", _START_S))["address"]
        rows = signals.run(_asked_and_sent(kafka.bootstrap, address, folder, given))
        stub.terminate()
        rows += _consumed(kafka.bootstrap, group, folder, given, signals)
    return {
        "command": f"python -m bench.floor {' '.join(sys.argv[1:])}".rstrip(),
        "machine": machine,
        "rounds": given.rounds,
        "parts": rows,
    }


async def _asked_and_sent(
    bootstrap: str, address: str, folder: Path, given: argparse.Namespace
) -> list[dict[str, Any]]:
    await make_topics(bootstrap)
    async with kafka_parts(bootstrap, folder) as kafka, http_parts(address) as http:
        return await measure([*kafka, *http], given.times, given.rounds)


def _consumed(
    bootstrap: str,
    group: ProcessGroup,
    folder: Path,
    given: argparse.Namespace,
    signals: Interruptible,
) -> list[dict[str, Any]]:
    messages: int = given.messages
    signals.run(send_backlog(bootstrap, messages))
    ours, bare = [], []
    for number in range(given.rounds):
        ours.append(by_faust(group, bootstrap, folder, messages, number))
        bare.append(signals.run(by_aiokafka(bootstrap, messages, number)))
    made = partial(row, times=messages, at_once=None)
    return [
        made("Faust, our consumer and window: a message of 300 bytes consumed", ours),
        made("aiokafka: the same in a bare loop", bare),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.floor", description="What the parts of a job cost, each by itself."
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench/floor.json"))
    parser.add_argument("--times", type=_count, default=TIMES, help="of each part in a round")
    parser.add_argument("--rounds", type=_count, default=ROUNDS, help="the median is of these")
    parser.add_argument("--messages", type=_several, default=MESSAGES, help="that are consumed")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _several(text: str) -> int:
    if (number := int(text)) < 2:  # noqa: PLR2004 - from the first to the last
        raise argparse.ArgumentTypeError("at least 2")
    return number


if __name__ == "__main__":
    sys.exit(main())
