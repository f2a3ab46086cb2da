"""What the broker is told: one node that is broker and controller, on loopback only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
NODE: Final = 1


def server_properties(
    data: Path, *, port: int, controller_port: int, behind: Mapping[int, int] | None = None
) -> str:
    """Give the text of server.properties. What is not named here is Kafka's own default.

    `behind` names further ports to listen on, each with the port that its clients are sent to: one
    of a proxy. A client that comes through a proxy is told the broker's address by the broker, and
    would go past the proxy otherwise.
    """
    doors = {f"DOOR{n}": ports for n, ports in enumerate((behind or {}).items())}
    listening = "".join(f",{name}://{HOST}:{ours}" for name, (ours, _) in doors.items())
    told = "".join(f",{name}://{HOST}:{theirs}" for name, (_, theirs) in doors.items())
    protocols = "".join(f",{name}:PLAINTEXT" for name in doors)
    settings = {
        "process.roles": "broker,controller",
        "node.id": NODE,
        "controller.quorum.voters": f"{NODE}@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}",
        "listeners": (
            f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}{listening}"
        ),
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}{told}",
        "log.dirs": data,
        # A topic that nobody made is a mistake to be seen, not one to be hidden.
        "auto.create.topics.enable": "false",
        # There is one node, so there is one copy of everything.
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # Quick to start: one partition instead of fifty, and groups that do not wait for others.
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "group.initial.rebalance.delay.ms": 0,
        # A killed broker may register again only when its former life has timed out (default 9 s).
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 250,
        "group.min.session.timeout.ms": 6000,
        # Room for batches above the largest message that a topic allows (32 MiB), and a bound on
        # what waits in memory: eight such messages at once ended a broker without it.
        "socket.request.max.bytes": 48 * 1024 * 1024,
        "queued.max.request.bytes": 64 * 1024 * 1024,
        # The cleaner of compacted topics takes 128 MiB of heap by default; a sandbox has few keys.
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
