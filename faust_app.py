"""The app, put together: settings → streams → agents → commands; nothing else.

`faust -A faust_app worker` runs the processor; `faust -A faust_app --help` lists the commands.
"""

import gc
import logging
import os
import sys

import mode.loop
import stamina
from pydantic import ValidationError

from agents.runtime import TABLES, Runtime
from agents.subscription import instance_id
from commands import add_commands
from managers import Managers, open_managers
from settings import RecoDialect, Settings, explain_settings
from streams.clock import Clock
from streams.engine import App, Tables, broker_url
from streams.guard import Guard
from streams.topics import Partitioner, Topics

SESSION_S = 10.0
POLL_RECORDS = 500
"""Messages taken over at once: the window has room for more than these (streams/window.py)."""


def read_settings() -> Settings:
    """Read the environment; a setting that is wrong ends the program with a sentence."""
    try:
        return Settings.from_environment(os.environ)
    except ValidationError as error:
        sys.exit(f"scanhub: a setting is wrong: {explain_settings(error)}")


def name_topics(settings: Settings) -> Topics:
    """Name the topics; a name that can't be used ends the program with a sentence."""
    try:
        return Topics(
            prefix=settings.topic_prefix,
            renamed=settings.topic_names,
            partitions=settings.partitions,
            reco_partitions=1 if settings.reco_dialect is RecoDialect.UPSTREAM else None,
        )
    except ValueError as error:
        sys.exit(f"scanhub: a setting is wrong: {error}")


def make_app(settings: Settings, topics: Topics, clock: Clock) -> App:
    """Make the Faust app with the settings that the promises need (docs/architecture.md)."""
    return App(
        settings.app_id,
        guard=Guard(SESSION_S, clock.monotonic),
        broker=broker_url(settings.kafka),
        store="rocksdb://?driver=rocksdict",
        datadir=str(settings.state_dir),
        processing_guarantee="at_least_once",
        topic_partitions=topics.partitions,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=1,
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=2.0,
        broker_request_timeout=30.0,
        broker_commit_interval=0.5,
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=POLL_RECORDS,
        consumer_group_instance_id=instance_id(settings, topics),
        producer_max_batch_size=1_048_576,
        producer_max_request_size=34 * 1024 * 1024,
        producer_linger=0.0,
        producer_partitioner=Partitioner(),
        TableManager=Tables,
        canonical_url=f"http://{settings.worker_id}:{settings.web_port or 6066}",
        stream_wait_empty=True,
    )


def make_managers(settings: Settings, clock: Clock) -> Managers:
    """Open the managers' clients."""
    return open_managers(
        exam_uri=settings.exam_manager_uri,
        device_uri=settings.device_manager_uri,
        sequence_uri=settings.sequence_manager_uri,
        login_uri=settings.login_manager_uri,
        user=settings.user,
        password_file=settings.password_file,
        device_path=settings.device_path,
        networks=settings.device_networks,
        timeout_s=settings.http_timeout_s,
        cache_s=settings.cache_s,
        ca_file=settings.ca_file,
        clock=clock.monotonic,
    )


if sys.platform != "win32":
    mode.loop.use("uvloop")  # before Faust makes its loop, and for the consumer's thread as well
stamina.instrumentation.set_on_retry_hooks(())  # a line for each retry says nothing to a person
logging.getLogger("httpx").setLevel(logging.WARNING)  # nor does one for each request
settings = read_settings()
topics = name_topics(settings)
clock = Clock(offset_s=settings.clock_offset_s)
app = make_app(settings, topics, clock)
# What is made until here stays; collecting after each 700 objects would look through much of it again
# and again (docs/performance.md). Nothing of ours needs the collector to be quick.
gc.freeze()
# The consumer's thread and the loop's take turns: a message waits less for the other one's.
sys.setswitchinterval(0.0002)
gc.set_threshold(50_000, 20, 50)
runtime = Runtime(app, settings, topics, clock, lambda: make_managers(settings, clock))
add_commands(app, settings, topics, tables=TABLES)
