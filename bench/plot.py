"""Draws the comparison: `python -m bench.plot` reads out/bench/compare.json, writes a PNG beside it.

Left the rates on a log scale with their spread, right the latency. Hatches and numbers tell the
bars apart, so it can be read without colours.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

SOURCE: Final = Path("out/bench/compare.json")
_HATCHES: Final = ("", "//", "..", "xx")
_GREYS: Final = ("#404040", "#808080", "#b0b0b0", "#e0e0e0")


def draw(result: Mapping[str, Any], target: Path) -> None:
    """Write the picture of a comparison."""
    # Made without pyplot, so it needs no screen: savefig takes Agg.
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    rates, latency = figure.subplots(1, 2)
    rivals = result["summary"]["rivals"]
    _draw_rates(rates, rivals, len(result["rounds"]))
    _draw_latency(latency, rivals)
    machine = result["machine"]
    figure.suptitle(
        f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']};"
        f" managers answer after {result['latency_ms']:g} ms",
        fontsize=9,
    )
    figure.savefig(target, dpi=120)


def _draw_rates(axes: Axes, rivals: Mapping[str, Any], rounds: int) -> None:
    for place, (name, figures) in enumerate(rivals.items()):
        found = figures["jobs_per_second"]
        if found is None:
            continue
        middle = found["median"]
        spread = [[middle - found["least"]], [found["most"] - middle]]
        axes.bar(
            place, middle, color=_GREYS[place], hatch=_HATCHES[place], edgecolor="black",
            yerr=spread, capsize=6, label=name,
        )  # fmt: skip
        axes.annotate(
            f"{middle:,.0f}", (place, found["most"]), textcoords="offset points", xytext=(0, 5),
            ha="center",
        )  # fmt: skip
    axes.set_yscale("log")
    axes.margins(y=0.15)
    axes.set_xticks(range(len(rivals)), list(rivals))
    axes.set_ylabel("jobs/s (log scale)")
    axes.set_title(f"Rate: median of {rounds} rounds, least to most")


def _draw_latency(axes: Axes, rivals: Mapping[str, Any]) -> None:
    width = 0.38
    labels = []
    for place, (name, figures) in enumerate(rivals.items()):
        at = figures["latency_per_second"]
        labels.append(name if at is None else f"{name}\nat {at['median']:g} jobs/s")
        for offset, key, grey, hatch in (
            (-width / 2, "p50_ms", "#808080", ""),
            (width / 2, "p99_ms", "#e0e0e0", "//"),
        ):
            if figures[key] is None:
                continue
            value = figures[key]["median"]
            bar = axes.bar(place + offset, value, width, color=grey, hatch=hatch, edgecolor="black")
            axes.bar_label(bar, [f"{value:,.1f}"], padding=2, fontsize=8)
            if place == 0:
                bar.set_label(key.removesuffix("_ms"))
    axes.set_yscale("log")
    axes.margins(y=0.15)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel("ms (log scale)")
    axes.set_title("Latency: job sent to device task seen")
    axes.legend()


def main() -> int:
    """Draw; exit code 1 if there is nothing to draw."""
    parser = argparse.ArgumentParser(prog="python -m bench.plot", description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE)
    parser.add_argument("--out", type=Path, help="where to; the source's name with .png")
    given = parser.parse_args()
    try:
        result = json.loads(given.source.read_text())
    except OSError as error:
        print(f"bench: no comparison to draw: {error}", file=sys.stderr)
        return 1
    target = given.out or given.source.with_suffix(".png")
    draw(result, target)
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
