"""Run a reconstruction worker: `python -m sandbox.reconstruction --kafka … --data-lake …`.

Prints one line of JSON when it is ready, and one for each job. Several workers of one group share
the jobs by partition.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from models.wire import RECO_JOBS
from sandbox.managers.signals import stop_asked
from sandbox.reconstruction.worker import work


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.reconstruction", description="A reconstruction worker."
    )
    parser.add_argument("--kafka", required=True, help="host:port of the broker")
    parser.add_argument("--data-lake", type=Path, required=True)
    parser.add_argument("--topic-prefix", default="")
    parser.add_argument("--topic", default=RECO_JOBS, help="where the jobs come from")
    parser.add_argument("--group", default="reco", help="workers of one group share the jobs")
    given = parser.parse_args()
    try:
        asyncio.run(_run(given))
    except KafkaError as error:
        sys.exit(f"Kafka: {type(error).__name__}; nothing is lost, start again")


async def _run(given: argparse.Namespace) -> None:
    topic = given.topic_prefix + given.topic
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=given.kafka,
        group_id=given.group,
        enable_auto_commit=False,  # see worker.py: we say ourselves what is done
        auto_offset_reset="earliest",  # jobs that were sent before the first start count too
    )
    producer = AIOKafkaProducer(bootstrap_servers=given.kafka, acks="all", enable_idempotence=True)
    try:
        await producer.start()
        await consumer.start()
        async with stop_asked() as stop:
            print(json.dumps({"ready": True, "topic": topic, "group": given.group}), flush=True)
            await _until(stop, work(consumer, producer, given.data_lake, given.topic_prefix))
    finally:
        await consumer.stop()
        await producer.stop()


async def _until(stop: asyncio.Event, working: Coroutine[None, None, None]) -> None:
    """Work until told to stop, or until the work fails. The job in hand then comes again."""
    worker, asked = asyncio.create_task(working), asyncio.create_task(stop.wait())
    await asyncio.wait((worker, asked), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    worker.cancel()
    with suppress(asyncio.CancelledError):
        await worker


if __name__ == "__main__":
    main()
