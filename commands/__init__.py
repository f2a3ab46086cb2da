"""What a person types: `faust -A faust_app …`."""

from typing import Any

from settings import Settings
from streams.topics import Topics


def add_commands(app: Any, settings: Settings, topics: Topics) -> None:
    """Add our commands to the `faust` command line."""
