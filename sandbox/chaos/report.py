"""docs/reliability.md, from the figures of all runs that lie beside each other."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_BEGIN: Final = "<!-- chaos: begin; written by `make chaos`, do not edit -->"
_END: Final = "<!-- chaos: end -->"
_TITLE: Final = "# Reliability\n"
_INTRO: Final = """
Each section is one run of `make chaos`: a real broker, two or three workers, simulated managers and
devices, a client that sends scan jobs, and an operator who sends commands, while faults of all kinds
strike. One scan at a time is on a device; the others are in its queue. With an odd seed the exam manager
has UUIDs, and some of the scans are tasks of workflows, that are started twice, cancelled and resumed.
Random messages on every input topic follow, without faults, and then workflows of three tasks that all
begin at once, with one worker killed in the middle. A seed makes the load, the plan of faults and the
random messages; `sandbox/chaos/rules/` holds the rules by which each run is judged. Event repeats are
what consumers see and drop by `event_id`. A spare record is one that two workers made at the same time:
it is announced, and never used.
"""

Run = Mapping[str, Any]


def write_report(page: Path, out: Path) -> None:
    """Write the runs' part of the page anew from the JSON files in `out`; the rest of it stays."""
    runs = [json.loads(path.read_text()) for path in out.glob("seed-*.json")]
    runs.sort(key=lambda run: (-float(run["minutes"]), int(run["seed"])))
    page.parent.mkdir(parents=True, exist_ok=True)
    text = page.read_text() if page.exists() else f"{_TITLE}\n{_BEGIN}\n{_END}\n"
    if _BEGIN not in text:
        text = f"{text.rstrip()}\n\n{_BEGIN}\n{_END}\n"
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f"{before}{_BEGIN}\n{report(runs)}{_END}{after}")


def report(runs: list[Run]) -> str:
    """Give the runs as Markdown: all side by side, then each with its faults."""
    if not runs:
        return "No run yet.\n"
    return "\n".join([_INTRO.strip() + "\n", _side_by_side(runs), *map(_section, runs)])


def _side_by_side(runs: list[Run]) -> str:
    head = ["", *(f"seed {run['seed']}" for run in runs)]
    rows = [head, ["---"] + ["---:"] * len(runs)]
    for name, cell in _ROWS.items():
        rows.append([name, *(cell(run) for run in runs)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _section(run: Run) -> str:
    found = run["figures"]
    parts = [
        f"## Seed {run['seed']}, {run['minutes']:g} minutes\n",
        f"`{run['command']}`\n",
        f"Faults: {_counts(found['faults'])}.\n",
        f"Worker exits by code (negative: the signal): {_counts(found['worker exits'])}.\n",
    ]
    if (fuzz := found.get("fuzz", {})).get("messages"):
        parts.append(
            f"{fuzz['messages']} random messages, followed for {fuzz['seconds']:.0f} s, ended as"
            f" {_counts(fuzz['ends'])}. Causes of their dead letters:"
            f" {_counts(fuzz['causes of dead letters'])}.\n"
        )
    if found["causes of FAILED"]:
        causes = "\n".join(
            f"- {n} times: {cause}" for cause, n in found["causes of FAILED"].items()
        )
        parts.append(f"FAILED, with causes:\n\n{causes}\n")
    return "\n".join(parts)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _end(state: str) -> Any:
    return lambda run: str(run["figures"]["ends"].get(state, 0))


def _figure(name: str) -> Any:
    return lambda run: str(run["figures"][name])


def _times(name: str) -> Any:
    def cell(run: Run) -> str:
        found = run["figures"][name]
        if not found["count"]:
            return "none"
        return f"{found['median s']:g} s / {found['worst s']:g} s ({found['count']})"

    return cell


def _flows(run: Run) -> str:
    found = run["figures"].get("workflows", {})
    ends = found.get("ends", {})
    if not ends:
        return "none"
    return f"{ends.get('completed', 0)}, {ends.get('cancelled', 0)} ({found['attempts']})"


def _crowd(run: Run) -> str:
    found = run["figures"].get("side by side", {})
    if not found.get("count"):
        return "none"
    done = found["ends"].get("completed", 0)
    return f"{done} of {found['count']}, {found['devices']}, {found['seconds']:.0f} s"


_ROWS: Final[Mapping[str, Any]] = {
    "minutes of load": lambda run: f"{run['minutes']:g}",
    "jobs accepted": _figure("jobs"),
    "malformed messages, all dead letters": _figure("malformed"),
    "faults": lambda run: str(sum(run["figures"]["faults"].values())),
    "COMPLETED": _end("COMPLETED"),
    "FAILED": _end("FAILED"),
    "UNKNOWN at the end (ever)": lambda run: (
        f"{run['figures']['ends'].get('UNKNOWN', 0)} ({run['figures']['ever UNKNOWN']})"
    ),
    "CANCELLED": _end("CANCELLED"),
    "HELD at the end (ever)": lambda run: (
        f"{run['figures']['ends'].get('HELD', 0)} ({run['figures']['ever HELD']})"
    ),
    "ever QUEUED (longest queue)": lambda run: (
        f"{run['figures']['ever QUEUED']} ({run['figures']['longest queue']})"
    ),
    "commands, each answered once (carried out)": lambda run: (
        f"{sum(run['figures']['commands'].values())} ({run['figures']['commands taken']})"
    ),
    "announced as OVERDUE": _figure("OVERDUE"),
    "STARTs that devices took": _figure("STARTs"),
    "event repeats seen by consumers": lambda run: (
        f"{run['figures']['repeated events']} of {run['figures']['events']}"
    ),
    "records adopted": _figure("records adopted"),
    "spare records": _figure("spare records"),
    "random messages, accounted for": lambda run: (
        f"{sum(run['figures'].get('fuzz', {}).get('ends', {}).values())}"
        f" of {run['figures'].get('fuzz', {}).get('messages', 0)}"
    ),
    "workflows under faults: completed, cancelled (attempts of tasks)": _flows,
    "workflows side by side, a worker killed: completed, devices, time": _crowd,
    "kill → next event, median / worst": _times("after a kill, first event"),
    "start → ready, median / worst": _times("after a start, ready"),
    "SIGTERM → end, median / worst": _times("SIGTERM to end"),
    "**violations** (lost, started twice, …)": lambda run: (
        f"**{sum(run['figures']['violations'].values())}**"
    ),
}
