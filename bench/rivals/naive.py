"""`naive`: the Faust agent that one writes first. `python -m bench.rivals.naive`.

One job after the other, one shared httpx client, no caches, nothing kept. (It acknowledges a job
whose step raised, as Faust does.)
"""

import sys
import tempfile
from typing import Any

import faust
import httpx

from bench.rivals.shared import (
    LINE_READY,
    RECORD_PATH,
    address_path,
    device_task,
    parser,
    record_body,
    sequence_path,
)
from models import wire


def make_app(kafka: str, managers: str, prefix: str, folder: str) -> faust.App:
    """Make the app with its one agent."""
    app = faust.App(
        f"{prefix}naive",
        broker=f"kafka://{kafka}",
        value_serializer="json",
        web_enabled=False,
        datadir=folder,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
    )
    jobs = app.topic(prefix + wire.SCAN_JOBS, value_serializer="json")
    tasks = app.topic(prefix + wire.DEVICE_TASKS, value_serializer="json")
    client = httpx.AsyncClient(base_url=f"http://{managers}", trust_env=False)

    async def handle(stream: Any) -> None:
        async for event in stream.events():
            job = event.value
            (await client.get(address_path(job["device_id"]))).raise_for_status()
            sequence = await client.get(sequence_path(job["sequence_id"]))
            record = await client.post(RECORD_PATH, json=record_body(job))
            task = device_task(
                job, sequence.raise_for_status().json(), record.raise_for_status().json()["id"]
            )
            await tasks.send(key=event.key, value=task, headers=event.headers)

    app.agent(jobs)(handle)

    async def assigned(*_: Any, **__: Any) -> None:
        print(LINE_READY, flush=True)

    app.on_rebalance_complete.connect(assigned, weak=False)
    return app


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    given = parser("naive", __doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="naive-") as folder:
        app = make_app(given.kafka, given.managers, given.prefix, folder)
        sys.argv[1:] = []
        app.worker_init()
        faust.Worker(app, loglevel="warning", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
