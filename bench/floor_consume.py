"""What a message costs that is consumed: by Faust with our window, and by a bare aiokafka loop."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.floor_kafka import PARTITIONS, PREFIX, SMALL, key_and_headers, make_producer, the_topics
from models import wire
from sandbox.demo.parts import ROOT, worker_environment
from sandbox.processes import ProcessGroup

MESSAGES: Final = "BENCH_FLOOR_MESSAGES"
"""How many bench/floor_app.py has to handle; in its environment."""

_POLL_RECORDS: Final = 500  # as the worker
_POLL_MS: Final = 200
_START_S: Final = 60.0
_LIMIT_S: Final = 180.0
_STOP_S: Final = 20.0
_WORKER: Final = (sys.executable, "-m", "faust", "-A", "bench.floor_app", "worker", "-l", "info")


async def send_backlog(bootstrap: str, messages: int) -> None:
    """Send what all rounds read."""
    topic = the_topics()[wire.SCAN_STATUS]
    async with make_producer(bootstrap) as producer:
        sent: list[asyncio.Future[object]] = []
        for number in range(messages):
            _, headers = key_and_headers(number)
            # Many keys, so that none has a crowd; partitions in turn, so that all last as long.
            sent.append(
                await producer.send(
                    topic, SMALL, key=b"%d" % number, partition=number % PARTITIONS, headers=headers
                )
            )
            if len(sent) >= _POLL_RECORDS:
                await asyncio.gather(*sent)
                sent.clear()
        await asyncio.gather(*sent)


def by_faust(
    group: ProcessGroup, bootstrap: str, folder: Path, messages: int, number: int
) -> float:
    """Let a new worker read all; gives its µs for each message. Raises ProcessFailedError."""
    served = dict.fromkeys(("sequence", "exam", "device"), "127.0.0.1:9")  # nobody is asked
    env = worker_environment(bootstrap, folder, served) | {
        # An app of its own in each round: it has committed nothing and begins at the beginning.
        "SCANHUB_APP_ID": f"{PREFIX}{number}",
        "SCANHUB_TOPIC_PREFIX": PREFIX,
        "SCANHUB_PARTITIONS": str(PARTITIONS),
        MESSAGES: str(messages),
    }
    worker = group.start(f"floor-worker-{number}", _WORKER, env=env, cwd=ROOT)
    try:
        worker.wait_for_line("Worker ready", _START_S)
        told = json.loads(worker.wait_for_line('{"counted"', _LIMIT_S))
    finally:
        worker.terminate(_STOP_S)
    return float(told["cpu_s"]) * 1e6 / int(told["counted"])


async def by_aiokafka(bootstrap: str, messages: int, number: int) -> float:
    """Read all in a loop that does nothing; gives the µs of this process for each message.

    Offsets are committed by the clock. Raises TimeoutError if the messages do not come.
    """
    topic, taken = the_topics()[wire.SCAN_STATUS], 0
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=f"{PREFIX}bare-{number}",
        auto_offset_reset="earliest",
    )
    async with asyncio.timeout(_LIMIT_S), consumer:
        began = time.process_time()
        # Not subscribed: to join a group costs as much as a thousand messages.
        consumer.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
        while taken < messages:
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
            taken += sum(map(len, batches.values()))
        spent = time.process_time() - began
    return spent * 1e6 / messages
