"""One rival's turn: warm-up, a backlog, a steady rate, and (ours) a backlog with refusals."""

import time
from dataclasses import dataclass
from typing import Any, Final, Protocol

from bench.compare_bus import Bus, Jobs, Seen
from bench.compare_http import HttpLoad
from bench.compare_stand import BARE, HTTP, NAIVE, OURS, CompareStand
from bench.compare_stub import questions
from bench.report import percentiles
from sandbox.demo.usage import Usage, usage_of
from sandbox.processes import Process

SHARE: Final = {OURS: 1.0, BARE: 1.0, NAIVE: 1 / 40, HTTP: 1 / 200}
"""Of `--jobs`: a backlog takes each of them some seconds."""
WARM: Final = {OURS: 500, BARE: 500, NAIVE: 20, HTTP: 4}
"""500 jobs ask for each device and each sequence."""
SLOW: Final = frozenset({NAIVE, HTTP})
BORNE: Final = 0.5
"""Of what a slow rival can do: above that, an open loop measures its queue."""
_LIMIT_S: Final = 60.0
_SETTLE_S: Final = 1.0
_IDLE_SHARE: Final = 0.2
"""Of a core: timers and fetches without messages take less."""
_IDLE_LOOK_S: Final = 0.25
_IDLE_LIMIT_S: Final = 20.0


class Load(Protocol):
    """How jobs get to a rival and tasks come back: over Kafka, or over HTTP."""

    repeated: int

    def backlog(self, jobs: int, limit_s: float) -> Seen:
        """Send so many jobs at once."""

    def at_rate(self, per_second: float, seconds: float, limit_s: float) -> Seen:
        """Send jobs at their times."""

    def linger(self, seconds: float) -> None:
        """Look a while longer for what comes twice."""

    def close(self) -> None:
        """Let go of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured: jobs of a backlog, jobs/s and seconds of the steady rate."""

    jobs: int
    per_second: float
    seconds: float
    latency_ms: float
    share_503: float


def turn(stand: CompareStand, name: str, number: int, jobs: Jobs, plan: Plan) -> dict[str, Any]:
    """Measure a rival once, in a process of its own; `number` is the round's.

    Raises ProcessFailedError, KafkaFailedError, KafkaException.
    """
    prefix = f"{name}{number}-"
    if name == HTTP:
        with stand.rival(name, prefix) as (process, line):
            return _measure(stand, process, name, HttpLoad(line, jobs), plan)
    bus = Bus(stand.kafka.bootstrap, prefix, jobs)
    try:
        if name != OURS:
            bus.make_topics()
        with stand.rival(name, prefix) as (process, _):
            bus.listen()
            return _measure(stand, process, name, bus, plan)
    finally:
        bus.close()


def _measure(
    stand: CompareStand, process: Process, name: str, load: Load, plan: Plan
) -> dict[str, Any]:
    print(f"  {name} is process {process.pid}", flush=True)  # for who wants to profile it
    jobs = max(4, round(plan.jobs * SHARE[name]))
    load.backlog(min(WARM[name], jobs), _LIMIT_S)
    _until_idle(process)
    stand.check(process)
    figures = _backlog(stand, process, load, jobs)
    stand.check(process)
    per_second = plan.per_second
    if name in SLOW:
        per_second = min(per_second, (figures["jobs_per_second"] or 1.0) * BORNE)
    figures["latency"] = _latency(load, per_second, plan.seconds)
    if name == OURS and plan.share_503 > 0:
        stand.stub.knobs(latency_ms=plan.latency_ms, share_503=plan.share_503)
        try:
            figures["refusing"] = _backlog(stand, process, load, jobs)
        finally:
            stand.stub.knobs(latency_ms=plan.latency_ms)
    load.linger(_SETTLE_S)
    stand.check(process)
    figures["repeated"] = load.repeated
    return figures


def _backlog(stand: CompareStand, process: Process, load: Load, jobs: int) -> dict[str, Any]:
    """Measure a backlog. Processor time counts until the rival is idle again.

    When the last task is out, ours still has records to write: work that belongs to these jobs.
    """
    stand.stub.reset()
    before = usage_of(process.pid)
    seen = load.backlog(jobs, _LIMIT_S)
    began = min(seen.sent.values())
    idle = _until_idle(process)
    idle_s = time.monotonic() - began
    after = usage_of(process.pid)
    counts = stand.stub.counts()
    done = len(seen.tasks)
    last_s = max(seen.tasks.values()) - began if done else None
    return {
        "jobs": jobs,
        "missing": seen.missing,
        "seconds": None if last_s is None else round(last_s, 3),
        "jobs_per_second": None if last_s is None else round(done / last_s, 1),
        "idle": idle,
        "idle_after_s": round(idle_s, 2),
        "cpu_ms_per_job": _cpu_ms(before, after, done),
        "rss_mb": None if after is None else round(after.rss_mb, 1),
        "most_mb": None if after is None else round(after.most_mb, 1),
        "calls_per_job": round(questions(counts) / done, 4) if done else None,
        "spare_records": counts["records"] - counts["jobs_with_record"],
        "counts": counts,
    }


def _until_idle(process: Process) -> bool:
    """Wait until a process takes little of a core; False if it does not, or can't be seen."""
    deadline = time.monotonic() + _IDLE_LIMIT_S
    before = usage_of(process.pid)
    while before is not None and time.monotonic() < deadline:
        time.sleep(_IDLE_LOOK_S)
        after = usage_of(process.pid)
        if after is None:
            break
        if after.cpu_s - before.cpu_s < _IDLE_SHARE * _IDLE_LOOK_S:
            return True
        before = after
    return False


def _latency(load: Load, per_second: float, seconds: float) -> dict[str, Any]:
    seen = load.at_rate(per_second, seconds, _LIMIT_S)
    times = [at - seen.sent[name] for name, at in seen.tasks.items()]
    return {
        "per_second": round(per_second, 1),
        "jobs": len(seen.sent),
        "missing": seen.missing,
        **(percentiles(times) or {"p50": None, "p99": None, "max": None}),
    }


def _cpu_ms(before: Usage | None, after: Usage | None, jobs: int) -> float | None:
    if before is None or after is None or not jobs:
        return None
    return round((after.cpu_s - before.cpu_s) * 1000 / jobs, 3)
