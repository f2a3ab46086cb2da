"""A processor of its own on a broker that holds several: its topics, tables, group and settings."""

from dataclasses import dataclass
from typing import Final

from streams.topics import Topics

_THOUSAND: Final = 1000
ALONE: Final = {
    "SCANHUB_SCANS_PER_DEVICE": "0",
    "SCANHUB_GATEWAY": "false",
    "SCANHUB_FIRST_STATUS_S": "86400",
    "SCANHUB_SILENCE_S": "86400",
    "SCANHUB_REMEMBER_REQUESTS_DAYS": "36500",
    "SCANHUB_KEEP_RECORDS_DAYS": "0",
}
"""Queue and gateway off, as nobody here reports a scan's end. Deadlines are far away: thousands would
come due in the middle of what is measured. Nothing expires: the filled rows are years old, and the sweep
(agents/sweep.py) would delete them a minute after each start. It still walks over them."""


@dataclass(frozen=True, slots=True)
class Space:
    """What keeps one processor apart from the others on its broker; `records` lie in its tables."""

    name: str
    partitions: int
    records: int = 0

    @property
    def app_id(self) -> str:
        """The consumer group, and the first part of the changelogs' names."""
        return f"bench-{self.name}"

    @property
    def prefix(self) -> str:
        """What the names of its topics begin with."""
        return f"{self.name}."

    @property
    def topics(self) -> Topics:
        """All of its topics."""
        return Topics(prefix=self.prefix, partitions=self.partitions)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of its workers."""
        return {
            "SCANHUB_APP_ID": self.app_id,
            "SCANHUB_TOPIC_PREFIX": self.prefix,
            "SCANHUB_PARTITIONS": str(self.partitions),
            **ALONE,
        }


def label(records: int) -> str:
    """Give a number as people say it: 1k, 100k, 1m."""
    unit = ""
    for larger in ("k", "m"):
        if records < _THOUSAND or records % _THOUSAND:
            break
        records, unit = records // _THOUSAND, larger
    return f"{records}{unit}"
