"""The figures of `bench.floor` as one table."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from bench.floor_rounds import AT_ONCE, EMPTY
from bench.report import machine_line

_PLAIN_WIDTH: Final = 120


def print_floor(result: Mapping[str, Any], target: Path) -> None:
    """Print what each part cost, on what it was measured, and how."""
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    console.print(f"`{result['command']}`: {machine_line(result['machine'])}", soft_wrap=True)
    table = Table(box=box.MARKDOWN)
    table.add_column(f"part ({AT_ONCE} at once, but what is consumed)")
    table.add_column("processor time, µs", justify="right")
    table.add_column("spread, µs", justify="right")
    for part in result["parts"]:
        spread = f"{part['least_us']:g}-{part['most_us']:g}"
        table.add_row(part["part"], f"{part['us']:g}", spread)
    console.print(table)
    console.print(
        f"Medians of {result['rounds']} rounds, with the least and the most. {EMPTY[0].upper()}"
        f"{EMPTY[1:]}, is taken off where a part is such a call — {target}",
        soft_wrap=True,
    )
