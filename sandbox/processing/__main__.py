"""Run a certified processing service: `python -m sandbox.processing --kafka … --data-lake … --topic …`.

Prints one line of JSON when it is ready, and one for each order. A topic that is missing is made.
"""

import argparse
import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from models.wire import TASK_EVENTS
from sandbox.managers.signals import stop_asked
from sandbox.processing.worker import Service, work


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.processing",
        description="A certified processing service: denoising.",
    )
    parser.add_argument("--kafka", required=True, help="host:port of the broker")
    parser.add_argument("--data-lake", type=Path, required=True)
    parser.add_argument("--topic-prefix", default="")
    parser.add_argument("--topic", default=TASK_EVENTS, help="where the orders come from")
    parser.add_argument("--group", default="processing", help="services of one group share orders")
    parser.add_argument(
        "--fail-once", action="append", default=[], metavar="TASK",
        help="the first order for this task fails; may be repeated",
    )  # fmt: skip
    given = parser.parse_args()
    try:
        asyncio.run(_run(given))
    except KafkaError as error:
        sys.exit(f"Kafka: {type(error).__name__}; nothing is lost, start again")


async def _run(given: argparse.Namespace) -> None:
    topic = given.topic_prefix + given.topic
    await _make(given.kafka, topic)
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=given.kafka,
        group_id=given.group,
        enable_auto_commit=False,  # see worker.py: we say ourselves what is done
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=given.kafka, acks="all", enable_idempotence=True)
    try:
        await producer.start()
        await consumer.start()
        async with stop_asked() as stop:
            print(json.dumps({"ready": True, "topic": topic, "group": given.group}), flush=True)
            service = Service(given.data_lake, given.fail_once)
            working = asyncio.create_task(work(consumer, producer, service, given.topic_prefix))
            asked = asyncio.create_task(stop.wait())
            await asyncio.wait((working, asked), return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
    finally:
        await consumer.stop()
        await producer.stop()


async def _make(bootstrap: str, topic: str) -> None:
    """Make a topic that is missing: a workflow whose task names a topic that is not there is refused."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        if topic not in await admin.list_topics():
            await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


if __name__ == "__main__":
    main()
