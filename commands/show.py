"""How things are shown: lines where nobody looks, tables and bars at a terminal."""

import sys
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.base import rfc3339


def at_terminal() -> bool:
    """Tell whether a person sees the output; else there are no bars and no colours."""
    return sys.stdout.isatty()


def printable(text: str) -> str:
    """Replace what is no plain text: whoever may write to a topic must not steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def human_size(size: int) -> str:
    """Write a size so that a person sees its order: 13 B, 1.5 MiB."""
    value, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:  # noqa: PLR2004 - what KiB means
        value /= 1024
        units.pop(0)
    return f"{size} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def moment(value: datetime) -> str:
    """Write a time as everywhere else."""
    return rfc3339(value)


def plain_pairs(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Lay named values out as lines, one for each."""
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {printable(value)}" for name, value in rows]


def show_table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> None:
    """Print a table to a terminal; nothing in a cell is taken as markup."""
    table = Table(*head, show_header=bool(head), header_style="bold")
    for row in rows:
        table.add_row(*(Text(printable(cell), overflow="fold") for cell in row))
    Console().print(table)
