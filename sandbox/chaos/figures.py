"""The figures of a run, from its history: what the report tells and the summary shows. No I/O."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from models import wire
from models.events import ScanState as S
from sandbox.chaos.fuzz.outcome import Fuzzed
from sandbox.chaos.history import History
from sandbox.chaos.rules import records
from sandbox.chaos.rules.violation import Violation


def figures(
    history: History, violations: Sequence[Violation], crowd: History | None = None
) -> dict[str, Any]:
    """Give all figures, ready for JSON; `crowd` is what was seen of workflows side by side."""
    last = {key: history.changes[key][-1] for key in history.jobs if key in history.changes}
    events = history.of(wire.SCAN_EVENTS)
    failed = Counter(
        str(event.fields.get("cause")) for event in last.values() if event.state == S.FAILED
    )
    acknowledged = [line for line in history.client if line["what"] == "acknowledged"]
    return {
        "jobs": len(history.jobs),
        "messages acknowledged": len(acknowledged),
        "malformed": len({m.mark for m in history.messages if m.mark.startswith("bad-")}),
        "ends": dict(Counter(event.state for event in last.values()).most_common()),
        "ever UNKNOWN": _ever(history, S.UNKNOWN),
        "ever QUEUED": _ever(history, S.QUEUED),
        "ever HELD": _ever(history, S.HELD),
        "longest queue": max(
            (
                int(event.fields.get("count") or 0)
                for event in history.events
                if event.state == S.QUEUED
            ),
            default=0,
        ),
        "commands": dict(Counter(one.kind for one in history.commands.values()).most_common()),
        "commands taken": sum(bool(one.taken) for one in history.commands.values()),
        "OVERDUE": sum(event.kind == "OVERDUE" for event in history.events),
        "causes of FAILED": dict(failed.most_common()),
        "STARTs": len(history.starts),
        "events": len(events),
        "repeated events": len(events) - len(history.events),
        "repeats announced": sum(event.kind == "REPEATED" for event in history.events),
        "records adopted": sum(event.kind == "ADOPTED" for event in history.events),
        "spare records": sum(map(len, records.spares(history).values())),
        "faults": dict(
            Counter(str(x["kind"]) for x in history.runner if x["what"] == "fault-begins")
        ),
        "worker exits": dict(
            Counter(str(x["code"]) for x in history.runner if x["what"] == "exit").most_common()
        ),
        "after a kill, first event": _spread(_after_kills(history)),
        "after a start, ready": _spread(_to_ready(history)),
        "SIGTERM to end": _spread(
            [float(x["seconds"]) for x in history.runner if x["what"] == "termed"]
        ),
        "workflows": _workflows(history),
        "side by side": _side_by_side(crowd),
        "fuzz": _fuzz(history.fuzzed),
        "violations": dict(Counter(violation.rule for violation in violations)),
    }


def _ever(history: History, state: S) -> int:
    return sum(
        any(event.state == state for event in changes) for changes in history.changes.values()
    )


def _workflows(history: History) -> dict[str, Any]:
    """Count how workflows ended, what was asked of them, and how often their tasks went out."""
    several = history.flow_facts.values()
    requests = [message.json["type"] for facts in several for message in facts.requests]
    return {
        "count": len(several),
        "ends": dict(Counter(str(facts.last["status"]) for facts in several).most_common()),
        "requests": dict(Counter(requests).most_common()),
        "attempts": sum(int(task.get("attempt") or 0) for facts in several for task in facts.tasks),
    }


def _side_by_side(crowd: History | None) -> dict[str, Any]:
    if crowd is None:
        return {"count": 0}
    took = [float(line["seconds"]) for line in crowd.runner if line["what"] == "at-rest"]
    return {
        **_workflows(crowd),
        "devices": len({facts.flow.device for facts in crowd.flow_facts.values()}),
        "seconds": took[-1] if took else 0.0,
        "ever UNKNOWN": _ever(crowd, S.UNKNOWN),
        "kills": sum(line["what"] == "kill" for line in crowd.runner),
    }


def _fuzz(fuzzed: Fuzzed | None) -> dict[str, Any]:
    if fuzzed is None:
        return {"messages": 0}
    return {
        "messages": fuzzed.count,
        "seconds": fuzzed.seconds,
        "ends": dict(fuzzed.ends),
        "causes of dead letters": dict(fuzzed.causes),
    }


def _after_kills(history: History) -> list[float]:
    """Give, for each kill, how long it took until any worker announced something."""
    times = sorted(message.ms / 1000 for message in history.of(wire.SCAN_EVENTS))
    waits = []
    for line in history.runner:
        if line["what"] == "kill":
            at = float(line["wall"])
            waits += [next((t - at for t in times if t > at), None)]
    return [wait for wait in waits if wait is not None]


def _to_ready(history: History) -> list[float]:
    began: dict[str, float] = {}
    waits = []
    for line in history.runner:
        worker = str(line.get("worker"))
        if line["what"] == "start":
            began[worker] = float(line["wall"])
        elif line["what"] == "ready" and worker in began:
            waits.append(float(line["wall"]) - began.pop(worker))
    return waits


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {"count": 0}
    return {
        "count": len(values),
        "median s": round(median(values), 2),
        "worst s": round(max(values), 2),
    }
