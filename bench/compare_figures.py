"""From the rounds' raw figures to medians, ratios and targets; plain functions."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

Round = Mapping[str, Mapping[str, Any]]
"""A round's figures by rival."""

FAILED_BELOW: Final = 0.4
"""ours/bare under this is a failure, not only a target missed."""

_AT_LEAST: Final = "at least"
_AT_MOST: Final = "at most"
_PATHS: Final = {
    "jobs_per_second": ("jobs_per_second",),
    "idle_after_s": ("idle_after_s",),
    "cpu_ms_per_job": ("cpu_ms_per_job",),
    "rss_mb": ("rss_mb",),
    "most_mb": ("most_mb",),
    "calls_per_job": ("calls_per_job",),
    "p50_ms": ("latency", "p50"),
    "p99_ms": ("latency", "p99"),
    "latency_per_second": ("latency", "per_second"),
    "refusing_jobs_per_second": ("refusing", "jobs_per_second"),
}


def summarise(rounds: Sequence[Round]) -> dict[str, Any]:
    """Give medians and spreads by rival, ratios of each round with theirs, and the targets."""
    names = list(dict.fromkeys(name for each in rounds for name in each))
    rivals = {
        name: {
            figure: spread(_find(each[name], path) for each in rounds if name in each)
            for figure, path in _PATHS.items()
        }
        for name in names
    }
    ratios = {
        f"ours/{name}": spread(_ratio(each, name) for each in rounds)
        for name in names
        if name != "ours"
    }
    ratios["503/without"] = spread(map(_refusing, rounds))
    ratios = {name: found for name, found in ratios.items() if found is not None}
    return {"rivals": rivals, "ratios": ratios, "targets": targets(rivals, ratios)}


def spread(values: Iterable[float | None]) -> dict[str, float] | None:
    """Give median, least and most of what was measured; None if nothing was."""
    found = [value for value in values if value is not None]
    if not found:
        return None
    figures = {"median": median(found), "least": min(found), "most": max(found)}
    return {name: round(value, 3) for name, value in figures.items()}


def targets(
    rivals: Mapping[str, Mapping[str, Any]], ratios: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Give each target of the issue, what was measured, and whether it is met (None: not measured)."""
    ours = rivals.get("ours", {})
    wanted: list[tuple[str, Any, str, float]] = [
        ("rate: ours/bare", ratios.get("ours/bare"), _AT_LEAST, 0.6),
        ("rate: ours/naive", ratios.get("ours/naive"), _AT_LEAST, 20.0),
        ("rate: ours/http", ratios.get("ours/http"), _AT_LEAST, 80.0),
        ("rate with 503 answers / without", ratios.get("503/without"), _AT_LEAST, 0.5),
        ("latency p50, ms", ours.get("p50_ms"), _AT_MOST, 12.0),
        ("latency p99, ms", ours.get("p99_ms"), _AT_MOST, 25.0),
        ("CPU for each job, ms", ours.get("cpu_ms_per_job"), _AT_MOST, 0.8),
        ("memory (RSS), MB", ours.get("rss_mb"), _AT_MOST, 150.0),
        ("manager calls for each job, caches warm", ours.get("calls_per_job"), _AT_MOST, 1.05),
    ]
    return [
        {
            "what": what,
            "wanted": f"{bound} {limit:g}",
            "measured": None if measured is None else measured["median"],
            "met": None if measured is None else _met(measured["median"], bound, limit),
        }
        for what, measured, bound, limit in wanted
    ]


def faults(rounds: Sequence[Round]) -> dict[str, int]:
    """Count what must not be: jobs of ours without a task, second tasks, second records."""
    ours = [each["ours"] for each in rounds if "ours" in each]
    loads = [load for each in ours for load in (each, each.get("refusing") or {})]
    return {
        "lost": sum(load.get("missing", 0) for load in loads)
        + sum(each["latency"]["missing"] for each in ours),
        "tasks_twice": sum(each["repeated"] for each in ours),
        "records_twice": sum(load.get("spare_records", 0) for load in loads),
    }


def _met(value: float, bound: str, limit: float) -> bool:
    return value >= limit if bound == _AT_LEAST else value <= limit


def _find(figures: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    found: Any = figures
    for part in path:
        found = (found or {}).get(part)
    return None if found is None else float(found)


def _ratio(each: Round, name: str) -> float | None:
    return _divided(each.get("ours", {}), each.get(name, {}))


def _refusing(each: Round) -> float | None:
    ours = each.get("ours", {})
    return _divided(ours.get("refusing") or {}, ours)


def _divided(upper: Mapping[str, Any], lower: Mapping[str, Any]) -> float | None:
    """Divide two rates; one whose jobs did not all come through in time counts as 0."""
    if upper.get("jobs_per_second") is None or not lower.get("jobs_per_second"):
        return None
    if lower["missing"]:
        return None
    return 0.0 if upper["missing"] else float(upper["jobs_per_second"] / lower["jobs_per_second"])
