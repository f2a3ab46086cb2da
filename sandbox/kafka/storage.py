"""A broker's data folder: formatted once per machine, copied for each broker."""

import base64
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sandbox.kafka.cache import filling_cache
from sandbox.kafka.errors import KafkaFailedError
from sandbox.kafka.jars import lock_digest
from sandbox.kafka.java import java_command
from sandbox.kafka.properties import server_properties

_META: Final = "meta.properties"
_FORMAT_SECONDS: Final = 60


def prepare_data(data: Path, jars: Sequence[Path]) -> None:
    """Make `data` a formatted folder with a cluster id of its own; an existing one is kept.

    Workers name their state by the cluster's id: two brokers with one id would share it.
    """
    if (data / _META).exists():
        return
    half_made = data.with_name(data.name + ".new")
    shutil.rmtree(half_made, ignore_errors=True)
    shutil.copytree(formatted_folder(jars), half_made)
    meta = half_made / _META
    text = re.sub(r"(?m)^cluster\.id=.*$", f"cluster.id={_new_id()}", meta.read_text())
    meta.write_text(re.sub(r"(?m)^directory\.id=.*$", f"directory.id={_new_id()}", text))
    half_made.rename(data)


def formatted_folder(jars: Sequence[Path]) -> Path:
    """Give the cached folder that Kafka's own tool formatted; ports and paths are not in it."""
    with filling_cache() as cache_folder:
        ready = cache_folder / f"formatted-{lock_digest()}"
        if ready.exists():
            return ready
        with tempfile.TemporaryDirectory(dir=cache_folder) as folder:
            made, properties = Path(folder) / "data", Path(folder) / "server.properties"
            properties.write_text(server_properties(made, port=1, controller_port=2))
            _format(jars, properties, Path(folder))
            made.rename(ready)
        return ready


def _format(jars: Sequence[Path], properties: Path, temporary: Path) -> None:
    tool = ("kafka.tools.StorageTool", "format", "-t", _new_id(), "-c", properties)
    done = subprocess.run(  # noqa: S603 - our own command line
        java_command(jars, *tool, temporary=temporary),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_FORMAT_SECONDS,
    )
    if done.returncode:
        raise KafkaFailedError(
            f"Kafka's format run failed:\n{done.stdout.decode(errors='replace')}"
        )


def _new_id() -> str:
    """Give a random id as Kafka writes them: base64, and never with a dash in front."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
