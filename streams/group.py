"""All workers of a group read the same topics, or they do not start.

Were one subscribed otherwise, its tables and its input would part ways without an error (measured).
A static member's name holds a hash of its subscription, so a look at the group's members shows it.
"""

import re
from typing import Any, Final

_MEMBER: Final = re.compile(
    r"(?P<worker>.+)-(?P<digest>[0-9a-f]{10})-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


def strangers(members: list[str], worker_id: str, digest: str) -> list[str]:
    """Name the workers of the group that read other topics.

    `members` are member ids as the broker makes them for static members: their name, a dash, a UUID.
    The worker's own former self is none: it is gone, or about to be replaced.
    """
    found = (_MEMBER.fullmatch(member) for member in members)
    return sorted(
        match["worker"]
        for match in found
        if match and match["digest"] != digest and match["worker"] != worker_id
    )


async def members_of(admin: Any, group: str) -> list[str]:
    """Give the member ids of a consumer group; [] if it has none yet."""
    [answer] = await admin.describe_consumer_groups([group])
    return [str(member[0]) for described in answer.groups for member in described[5]]
