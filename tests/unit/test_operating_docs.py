"""The drawing of a scan's states that people read is the table that the code uses."""

import re
from pathlib import Path

from agents.states import TRANSITIONS
from models.events import ScanState

DOCS = Path(__file__).parents[2] / "docs"


def test_the_drawing_is_the_table() -> None:
    text = (DOCS / "operating.md").read_text()
    drawing = text.split("```mermaid")[1].split("```")[0]
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)", drawing, re.MULTILINE))
    assert drawn == {(start, goal) for start in TRANSITIONS for goal in TRANSITIONS[start]}
    ends = set(re.findall(r"^ +(\w+) --> \[\*\]", drawing, re.MULTILINE))
    assert ends == {state for state in ScanState if state.final}


def test_every_state_says_what_to_do() -> None:
    table = (DOCS / "operating.md").read_text().split("## OVERDUE")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    named = set(re.findall(r"\b[A-Z]{4,}\b", " ".join(row.split("|")[1] for row in rows)))
    assert set(ScanState) <= named
