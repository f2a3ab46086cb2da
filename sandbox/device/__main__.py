"""Run a simulated scanner: `python -m sandbox.device --id mri-0001 --kafka … --data-lake …`.

Prints one line of JSON with its addresses once it listens and has reached Kafka.
"""

import argparse
import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from aiokafka.errors import KafkaError

from sandbox.device.outbox import ListOutbox, Outbox, kafka_outbox
from sandbox.device.program import Options, running
from sandbox.managers.signals import stop_asked


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.device", description="A simulated MRI scanner."
    )
    parser.add_argument("--id", required=True, help="the device's id")
    parser.add_argument("--any-device", action="store_true", help="stand for every other id too")
    parser.add_argument("--port", type=int, default=0, help="0: the system chooses")
    parser.add_argument("--port-control", type=int, default=0, help="knobs, even while refusing")
    parser.add_argument("--kafka", help="host:port of the broker")
    parser.add_argument("--no-kafka", action="store_true", help="measure, but tell nobody")
    parser.add_argument("--topic-prefix", default="")
    parser.add_argument("--data-lake", type=Path, required=True)
    parser.add_argument("--log", type=Path, help="every START taken, one JSON line each")
    parser.add_argument("--requests", type=Path, help="every request, one JSON line each")
    parser.add_argument("--scan-seconds", type=float, default=2.0)
    parser.add_argument("--dialect", choices=("any", "task", "request"), default="any")
    given = parser.parse_args()
    if given.no_kafka == bool(given.kafka):
        parser.error("give either --kafka or --no-kafka")
    options = Options(
        device_id=given.id,
        any_device=given.any_device,
        lake=given.data_lake,
        dialect=given.dialect,
        scan_seconds=given.scan_seconds,
        starts_log=given.log,
        requests_log=given.requests,
        port=given.port,
        control_port=given.port_control,
    )
    try:
        asyncio.run(_run(options, given.kafka, given.topic_prefix))
    except OSError as error:
        sys.exit(f"cannot listen or write: {error.strerror}")
    except KafkaError as error:
        sys.exit(f"cannot reach Kafka: {type(error).__name__}")


async def _run(options: Options, kafka: str | None, prefix: str) -> None:
    async with AsyncExitStack() as stack:
        stop = await stack.enter_async_context(stop_asked())
        outbox: Outbox = ListOutbox()
        if kafka is not None:
            outbox = await stack.enter_async_context(kafka_outbox(kafka, prefix))
        addresses, _ = await stack.enter_async_context(running(options, outbox))
        told = {
            **addresses.services,
            # As the device manager hands it out.
            "ip_address": addresses.services["device"].removeprefix("http://"),
            "control": addresses.control,
        }
        print(json.dumps(told), flush=True)
        await stop.wait()


if __name__ == "__main__":
    main()
